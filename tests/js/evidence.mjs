// Fork proofs, branches and person statements: docs/protocol.md, "Forks" and "Person statements".

import { compare, concat, context, equal, hex, isBytes, isNumber, must } from "./bytes.mjs";
import { BLOCK, linked, MAX_LOG, MAX_SEQ } from "./blocks.mjs";
import { decode } from "./cbor.mjs";
import { verify } from "./ed25519.mjs";

const BRANCH = 64;

/** Read a fork proof. */
export function proof(raw) {
  const fields = decode(raw, 40_000);
  must(Array.isArray(fields) && fields.length === 5 && fields[0] === 1, "not a fork proof");
  const one = vouched(fields[1], fields[2]);
  const other = vouched(fields[3], fields[4]);
  const [mine, theirs] = [one.headers[0], other.headers[0]];
  must(equal(mine.author, theirs.author) && mine.log === theirs.log, "two logs");
  const { author, log, seq } = mine;
  let ids;
  if (mine.seq === theirs.seq) {
    must(compare(mine.id, theirs.id) < 0, "the same, or in the second order");
    ids = [mine.id, theirs.id];
  } else {
    must(mine.seq + 1 === theirs.seq, "neither the same seq nor the next");
    must(!equal(theirs.previous, mine.id), "no contradiction");
    ids = [mine.id, theirs.previous].sort(compare);
  }
  return { author, log, seq, one, other, ids, raw };
}

function vouched(raws, signature) {
  must(Array.isArray(raws) && raws.length >= 1 && raws.length <= 64, "1 to 64 headers");
  must(raws.every((raw) => isBytes(raw)) && isBytes(signature, 64), "bytes");
  const headers = linked(raws);
  const last = headers.at(-1);
  must(verify(last.author, concat(BLOCK, last.raw), signature), "not signed");
  return { headers, signature };
}

/** Of proofs about one log, return the one that is kept. */
export function keptProof(proofs) {
  const rank = (one, other) =>
    one.seq - other.seq || one.raw.length - other.raw.length || compare(one.raw, other.raw);
  return [...proofs].sort(rank)[0];
}

/** Return the ids of the blocks kept from a fork on; `trunk` is the id held before it, or null. */
export function branches(headers, fork, trunk) {
  const byId = (one, other) => compare(one.id, other.id);
  const kept = new Set();
  const starts = headers.filter((block) => block.seq === fork).sort(byId);
  const onTrunk = starts.filter((block) => trunk && equal(block.previous, trunk));
  for (const start of [...starts.slice(0, 2), ...onTrunk.slice(0, 1)]) {
    let block = start;
    while (block && block.seq <= fork + BRANCH) {
      kept.add(hex(block.id));
      const { id, seq } = block;
      const follows = (next) => next.seq === seq + 1 && equal(next.previous, id);
      [block] = headers.filter(follows).sort(byId);
    }
  }
  return [...kept].sort();
}

/** Read a person statement. */
export function statement(raw, signature) {
  const fields = decode(raw, 2_048);
  must(Array.isArray(fields) && fields.length === 4 && fields[0] === 1, "not a statement");
  const [, person, device, cuts] = fields;
  must(isBytes(person, 32) && isBytes(device, 32), "keys have 32 bytes");
  must(Array.isArray(cuts) && cuts.length <= 32, "at most 32 logs");
  let before = -1;
  for (const cut of cuts) {
    must(Array.isArray(cut) && cut.length === 3, "a cut is a log, a seq and an id");
    const [log, seq, id] = cut;
    must(isNumber(log, 0, MAX_LOG) && log > before, "logs ascend");
    must(isNumber(seq, 1, MAX_SEQ) && isBytes(id, 32), "a seq and an id");
    before = log;
  }
  must(verify(person, concat(context("person"), raw), signature), "not signed by the person");
  return { person, device, cuts, raw, signature };
}

/** Of one person's statements, return those that are kept, by device. */
export function keptStatements(statements) {
  const sum = ({ cuts }) => cuts.reduce((total, [, seq]) => total + seq, 0);
  const rank = (one, other) =>
    sum(one) - sum(other) ||
    compare(one.raw, other.raw) ||
    compare(one.signature, other.signature);
  const kept = new Map();
  for (const one of [...statements].sort(rank)) {
    const device = hex(one.device);
    if (!kept.has(device)) kept.set(device, one);
  }
  return [...kept.keys()].sort().slice(0, 64).map((device) => kept.get(device));
}
