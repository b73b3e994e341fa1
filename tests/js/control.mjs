// Messages that steer a meeting: docs/protocol.md, "Messages" and "Meetings".

import { hex, isBytes, isNumber, must } from "./bytes.mjs";
import { MAX_LOG, MAX_SEQ } from "./blocks.mjs";
import { decode } from "./cbor.mjs";
import { frontierEntry } from "./frontier.mjs";

const MAX_COUNT = 2 ** 53 - 1;
const MAX_INDEX = 2 ** 20 - 1;
const MODES = ["FROM", "NEWEST", "HEADERS", "BODIES", "ENTRY", "EVIDENCE", "BRANCHES", "IDS"];
const REASONS = ["ALL", "DIFFERS", "BUDGET", "LATER"];

const isCount = (value) => isNumber(value, 0, MAX_COUNT);
const isLsn = (value) => isNumber(value, 1, MAX_COUNT);
const isSeq = (value) => isNumber(value, 1, MAX_SEQ);
const isIndex = (value) => isNumber(value, 0, MAX_INDEX);
const isFlag = (value) => value === 0 || value === 1;
const isScope = (value) => isBytes(value, 0) || isBytes(value, 16);
const isU64 = (value) => (typeof value === "bigint" ? value > 0n : isNumber(value, 0, Infinity));
const isList = (value, least = 0) => Array.isArray(value) && value.length >= least;

/** Read the items after the number of a message, or return undefined for another number. */
export function control(number, items) {
  const read = READERS[number];
  if (read === undefined) return undefined;
  const [name, count, reader] = read;
  must(items.length === count || (number === 0 && items.length > count), "items");
  return { [name]: reader(...items) };
}

const READERS = {
  0: ["hello", 6, hello],
  1: ["new", 5, news],
  2: ["root", 2, root],
  3: ["buckets", 2, buckets],
  4: ["vector", 3, vector],
  5: ["want", 1, (rows) => list(rows, request)],
  7: ["credit", 1, credit],
  12: ["ack", 2, ack],
  14: ["announce", 4, announce],
  16: ["entries", 1, (rows) => list(rows, entry)],
  17: ["ids", 4, ids],
  18: ["done", 1, (rows) => list(rows, end)],
  19: ["bye", 0, () => []],
};

function list(rows, reader) {
  must(isList(rows, 1), "an array that is not empty");
  return rows.map(reader);
}

function hello(versions, features, frame, window, budget, contact, ...more) {
  const [mail = null, parts = null] = more;
  must(isList(versions, 1) && versions.every(isU64) && versions[0] >= 1, "versions");
  must(versions.every((version, at) => !at || version > versions[at - 1]), "ascending");
  must(isU64(features), "features");
  must(isNumber(frame, 24_000, 65_000), "frame");
  must(isNumber(window, 24_000, MAX_COUNT), "window");
  must(budget === null || isCount(budget), "budget");
  must(parts === null || isBytes(parts, 64), "16 times 4 bytes");
  const spoken = versions.map(String);
  const said = { versions: spoken, features: String(features), frame, window, budget };
  const compared = parts ?? new Uint8Array();
  return { ...said, contact: told(contact), mail: toldOfMail(mail), parts: compared };
}

function told(contact) {
  if (contact === null) return null;
  must(isList(contact) && contact.length === 3, "three");
  const [run, lsn, processed] = contact;
  must(isCount(lsn) && isBytes(run, lsn ? 8 : 0), "run and lsn");
  return { run, lsn, seen: processed === null ? null : seen(processed) };
}

function toldOfMail(mail) {
  if (mail === null) return null;
  must(isList(mail) && mail.length === 3, "three");
  const [run, serial, processed] = mail;
  must(isBytes(run, 4) && isCount(serial), "run and serial");
  return { run, serial, seen: processed === null ? null : seen(processed, 4) };
}

/** Read a seen from its items. */
export function seen(value, size = 8) {
  must(isList(value) && value.length === 2, "a run and ranges");
  const [run, ends] = value;
  must(isBytes(run, size), "run");
  must(isList(ends, 2) && ends.length % 2 === 0 && ends.length <= 64, "1 to 32 ranges");
  const ranges = [];
  for (let at = 0; at < ends.length; at += 2) {
    const [low, high] = ends.slice(at, at + 2);
    const before = ranges.at(-1);
    must(isLsn(low) && isLsn(high) && low <= high, "a range");
    must(before === undefined || low >= before[1] + 2, "gaps");
    ranges.push([low, high]);
  }
  return { run, ranges };
}

/** Read a seen from its bytes. */
export const seenOf = (raw) => seen(decode(raw, 1_024));

/** Of 1 .. lsn, return what is not in `ranges` as far as they count, the highest first. */
export function gaps(ranges, valid, lsn) {
  const found = [];
  let next = 1;
  for (const [low, high] of ranges) {
    if (low > valid) break;
    if (next < low) found.unshift([next, low - 1]);
    next = Math.min(high, valid) + 1;
  }
  if (next <= lsn) found.unshift([next, lsn]);
  return found;
}

function news(valid, low, high, last, flat) {
  must(isCount(valid) && isLsn(low) && isLsn(high) && low <= high, "lsns");
  must(isFlag(last), "last");
  return { valid, low, high, last: last === 1, mentions: mentions(flat) };
}

function announce(run, low, high, flat) {
  must(isBytes(run, 0) || isBytes(run, 8), "run");
  const isNone = low === 0 && high === 0;
  must(isNone || (isLsn(low) && isLsn(high) && low <= high), "lsns");
  return { run, low, high, mentions: mentions(flat) };
}

function vector(scope, last, flat) {
  must(isScope(scope) && isFlag(last), "scope");
  return { scope, last: last === 1, mentions: mentions(flat) };
}

function mentions(flat) {
  must(isList(flat), "mentions");
  const found = [];
  let rest = flat;
  while (rest.length > 0) {
    const isKey = isBytes(rest[0], 32);
    const [first, log] = rest;
    if (isKey) must(isNumber(log, 0, MAX_LOG), "log");
    else must(isIndex(first) || isBytes(first, 8), "a name");
    const name = isKey
      ? { author: first, log }
      : isBytes(first) ? { short: first } : { index: first };
    const [spelled, check] = rest.slice(isKey ? 2 : 1);
    must(isNumber(spelled, -MAX_SEQ - 1, MAX_SEQ), "seq");
    must(isBytes(check, 4) || isBytes(check, 8), "check");
    const plain = spelled >= 0;
    const seq = plain ? spelled : -1 - spelled;
    found.push({ ...name, seq, plain, check: check.slice(0, 4), evidence: check.slice(4) });
    rest = rest.slice(isKey ? 4 : 3);
  }
  return found;
}

function root(tells, rows) {
  must(isFlag(tells) && isList(rows, 1) && rows.length <= 64, "scopes");
  for (const row of rows) {
    must(isList(row) && row.length === 3, "three");
    must(isScope(row[0]) && isBytes(row[1], 16) && isCount(row[2]), "a scope");
  }
  must(new Set(rows.map(([scope]) => hex(scope))).size === rows.length, "a scope twice");
  return { tells: tells === 1, scopes: rows };
}

function buckets(scope, digests) {
  must(isScope(scope) && isBytes(digests, 1_024), "256 times 4 bytes");
  return { scope, digests };
}

function request(row) {
  must(isList(row, 3), "a want");
  const [index, rank, mode, ...args] = row;
  must(isIndex(index) && isNumber(rank, 0, 6) && isNumber(mode, 0, 7), "a want");
  must(ARGUMENTS[mode](args), MODES[mode]);
  return { index, class: rank, mode: MODES[mode], args };
}

const isNothing = (args) => args.length === 0;
const ARGUMENTS = [isTail, isNewest, isTail, areRanges, isNothing, isNothing, isNothing, areIds];

function isTail(args) {
  const [seq, until, ident] = args;
  if (args.length !== 3 || !isNumber(seq, 0, MAX_SEQ)) return false;
  if (until !== 0 && !isNumber(until, seq + 1, MAX_SEQ)) return false;
  return isBytes(ident, 0) || isBytes(ident, 4);
}

function isNewest(args) {
  return args.length === 1 && isSeq(args[0]);
}

function areRanges(args) {
  if (args.length < 2 || args.length > 64 || args.length % 2 || !args.every(isSeq)) return false;
  return args.every((seq, at) => !at || (at % 2 ? seq >= args[at - 1] : seq > args[at - 1] + 1));
}

function areIds(args) {
  return args.length === 3 && isSeq(args[0]) && isSeq(args[1]) && isNumber(args[2], 1, 64);
}

function credit(total) {
  must(isCount(total), "total");
  return total;
}

function ack(pages, processed) {
  must(isCount(pages), "pages");
  return { pages, seen: processed === null ? null : seen(processed) };
}

function entry(row) {
  must(isList(row) && row.length === 3, "three");
  const [index, raw, branches] = row;
  must(isIndex(index) && isBytes(raw) && (isBytes(branches, 0) || isBytes(branches, 8)), "entry");
  frontierEntry(raw);
  return row;
}

function ids(index, low, step, found) {
  must(isIndex(index) && isSeq(low) && isSeq(step) && isBytes(found), "ids");
  must(found.length % 8 === 0 && found.length <= 512, "up to 64 ids");
  return { index, low, step, ids: found };
}

function end(row) {
  must(isList(row) && row.length === 3, "three");
  const [index, mode, reason] = row;
  must(isIndex(index) && isNumber(mode, 0, 7) && isNumber(reason, 0, 3), "an end");
  return [index, MODES[mode], REASONS[reason]];
}
