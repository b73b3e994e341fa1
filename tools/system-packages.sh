#!/usr/bin/env bash
# Sees to the system packages that the environment and some tests need, and says which it could not get.
# Use: tools/system-packages.sh [venv] [node] [cc] [sqlite]      (none named: all of them)
# Exits 0 even so: a test whose need is missing skips with its own printed reason.
set -u

have() {
  case "$1" in
    venv)   "${PYTHON:-python3}" -c 'import ensurepip, venv' ;;
    node)   command -v node ;;
    cc)     command -v gcc ;;
    sqlite) command -v gcc && printf '#include <sqlite3.h>\n' | gcc -E -x c - ;;
  esac >/dev/null 2>&1
}

package() {
  case "$1" in
    venv)   echo python3-venv ;;
    node)   echo nodejs ;;
    cc)     echo gcc libc6-dev ;;
    sqlite) echo gcc libc6-dev libsqlite3-dev ;;
  esac
}

purpose() {
  case "$1" in
    venv)   echo "no virtual environment can be made" ;;
    node)   echo "tests of the second decoder, in JavaScript, will skip" ;;
    cc)     echo "tests that compile C will skip" ;;
    sqlite) echo "tests of SQLite on a failing disk will skip" ;;
  esac
}

updated=no
get() {
  if [ "$updated" = no ]; then
    apt-get update -qq >/dev/null 2>&1
    updated=yes
  fi
  # shellcheck disable=SC2046  # several packages, on purpose
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(package "$1") >/dev/null 2>&1
}

[ $# -gt 0 ] || set -- venv node cc sqlite
for need in "$@"; do
  [ -n "$(package "$need")" ] || { echo "error: no such need: $need" >&2; exit 2; }
  have "$need" && continue
  if ! command -v apt-get >/dev/null 2>&1; then
    why="this machine has no apt-get"
  elif [ "$(id -u)" -ne 0 ]; then
    why="not root"
  else
    get "$need"
    have "$need" && { echo "installed: $(package "$need")"; continue; }
    why="apt-get could not install it"
  fi
  echo "skipped: $(package "$need"): $why; $(purpose "$need")"
done
exit 0
