// Holds the second decoder against every vector: node check.mjs [folder].
//
// Prints one line a file, and one for each vector it reads otherwise; exits with 1 if there is any.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { Refused } from "./bytes.mjs";
import { READERS } from "./decode.mjs";

const folder = process.argv[2] ?? fileURLToPath(new URL("../vectors", import.meta.url));

/** Return what is wrong with a good vector, or null. */
function faultOfGood({ of, in: given, out }) {
  try {
    const read = READERS[of](given);
    if (isDeepStrictEqual(read, out)) return null;
    return `read as ${JSON.stringify(read)} instead of ${JSON.stringify(out)}`;
  } catch (error) {
    return error instanceof Refused ? `refused: ${error.message}` : error.stack;
  }
}

/** Return what is wrong with a bad vector, or null. */
function faultOfBad({ of, in: given }) {
  try {
    READERS[of](given);
    return "not refused";
  } catch (error) {
    return error instanceof Refused ? null : error.stack;
  }
}

let faults = 0;
const names = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
for (const name of names) {
  const { good, bad } = JSON.parse(readFileSync(join(folder, name), "utf8"));
  const wrong = [];
  for (const vector of good) {
    const fault = faultOfGood(vector);
    if (fault) wrong.push(`${vector.of}, ${vector.name}: ${fault}`);
  }
  for (const vector of bad) {
    const fault = faultOfBad(vector);
    if (fault) wrong.push(`${vector.of}, ${vector.why}: ${fault}`);
  }
  const verdict = wrong.length ? `${wrong.length} WRONG` : "ok";
  console.log(`${name}: ${good.length} good, ${bad.length} bad: ${verdict}`);
  for (const line of wrong) console.log(`  ${line}`);
  faults += wrong.length;
}
process.exit(faults || !names.length ? 1 : 0);
