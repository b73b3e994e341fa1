// Headers, bodies' hashes and runs: docs/protocol.md, "Blocks" and "Runs".

import { context, equal, isBytes, isNumber, isZero, must, sha256 } from "./bytes.mjs";
import { decode } from "./cbor.mjs";
import { verify } from "./ed25519.mjs";

const MAX_HEADER = 258;
const KIND = /^[a-z0-9./-]{1,32}$/;
export const MAX_SEQ = 2 ** 40 - 1;
export const MAX_LOG = 2 ** 32 - 1;
export const BLOCK = context("block");

/** Read a header; the result also has its bytes as `raw` and its `id`. */
export function header(raw) {
  const fields = decode(raw, MAX_HEADER);
  must(Array.isArray(fields) && fields.length === 10, "a header has ten fields");
  const [version, author, log, seq, previous, pair, kind, bodyHash, bodySize, ext] = fields;
  must(version === 1, "another version");
  must(isBytes(author, 32), "author");
  must(isNumber(log, 0, MAX_LOG), "log");
  must(isNumber(seq, 1, MAX_SEQ), "seq");
  must(isBytes(previous, 32), "previous");
  must(typeof kind === "string" && KIND.test(kind) && !kind.endsWith("\n"), "kind");
  must(isBytes(bodyHash, 32), "body hash");
  must(isNumber(bodySize, 0, 16_384), "body size");
  must(isBytes(ext) && ext.length <= 32, "ext");
  const counterparty = readCounterparty(pair);
  const isFirst = log === 0 && seq === 1;
  must(isFirst === isZero(previous), "only the first block of log 0 follows zeros");
  must(!isFirst || (kind === "device" && !counterparty), "log 0 begins with a device block");
  const id = sha256(context("id"), raw);
  const names = { author, log, seq, previous, counterparty, kind, bodyHash, bodySize, ext };
  return { ...names, raw, id };
}

function readCounterparty(pair) {
  if (pair === null) return null;
  must(Array.isArray(pair) && pair.length === 2, "a counterparty is a pair");
  const [person, proposal] = pair;
  must(isBytes(person, 32) && isBytes(proposal, 32), "a counterparty is two times 32 bytes");
  must(!isZero(person) || isZero(proposal), "an agreement names a person");
  return { person, proposal };
}

export function checkBody(block, body) {
  must(body.length === block.bodySize, "the body has another size");
  must(equal(sha256(context("body"), body), block.bodyHash), "the body has another hash");
}

/** Read consecutive headers of one log. */
export function linked(raws) {
  const headers = raws.map(header);
  for (const [index, next] of headers.entries()) {
    if (index === 0) continue;
    const before = headers[index - 1];
    must(equal(next.author, before.author) && next.log === before.log, "another log");
    must(next.seq === before.seq + 1, "not the next seq");
    must(equal(next.previous, before.id), "it does not follow the block before");
  }
  return headers;
}

/** Check a run of [header, signature, body or null]; signatures that are not needed are dropped. */
export function run(items) {
  must(items.length > 0, "a run without blocks");
  const headers = linked(items.map(([raw]) => raw));
  return headers.map((block, index) => {
    const [raw, signature, body] = items[index];
    must(signature.length === 0 || signature.length === 64, "a signature has 64 bytes or none");
    if (body !== null) checkBody(block, body);
    const isLast = index === items.length - 1;
    const needed = isLast || block.seq % 64 === 0 || block.counterparty !== null;
    if (!needed) return { block, signature: new Uint8Array(), body };
    must(verify(block.author, Buffer.concat([BLOCK, raw]), signature), "signature");
    return { block, signature, body };
  });
}
