// A second decoder, written from docs/protocol.md: one reader for each `of` of the vectors.
//
// A reader gets a vector's `in` and returns what must equal its `out`: plain JSON, bytes in hex.
// It throws `Refused` for what a vector calls bad, and nothing else.

import { hex, isBytes, must, Refused, unhex } from "./bytes.mjs";
import { checkBody, header, run } from "./blocks.mjs";
import { decode } from "./cbor.mjs";
import { gaps, seenOf } from "./control.mjs";
import { hkdf, verify } from "./ed25519.mjs";
import { branches, keptProof, keptStatements, proof, statement } from "./evidence.mjs";
import { frontierEntry } from "./frontier.mjs";
import { bundle, message } from "./gossip.mjs";
import { agreement, device, halfBlock, outside, post, profile, withdrawal } from "./kinds.mjs";
import { envelope } from "./mail.mjs";
import { isCertified, link, pairs, words } from "./people.mjs";
import * as sealed from "./sealed.mjs";
import { keyed, scope, standing } from "./standing.mjs";

const maybe = (text) => (text === null ? null : unhex(text));

/** Return a decoded value so that JSON tells bytes from text and keeps 64 bits. */
function shown(value) {
  if (Array.isArray(value)) return value.map(shown);
  if (isBytes(value)) return { bytes: hex(value) };
  if (typeof value === "string") return { text: value };
  return value === null ? null : { int: String(value) };
}

/** Return `value` with all bytes in hex. */
function plain(value) {
  if (isBytes(value)) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** Return an object's fields with their names in Python's style, and `rest` with types. */
function named(fields) {
  const entries = Object.entries(fields).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    name === "rest" || name === "fields" ? shown(value) : plain(value),
  ]);
  return Object.fromEntries(entries);
}

function valid(condition) {
  must(condition, "it does not verify");
  return { valid: true };
}

function shownHeader(raw) {
  const { raw: _, ...fields } = header(unhex(raw));
  return named(fields);
}

function shownRun(items) {
  const blocks = run(items.map(([raw, sig, body]) => [unhex(raw), unhex(sig), maybe(body)]));
  const [first, last] = [blocks[0].block, blocks.at(-1).block];
  const seqs = (some) => some.map(({ block }) => block.seq);
  return plain({
    author: first.author,
    log: first.log,
    low: first.seq,
    high: last.seq,
    previous: first.previous,
    tip: last.id,
    ids: blocks.map(({ block }) => block.id),
    signed: seqs(blocks.filter(({ signature }) => signature.length > 0)),
    bodies: seqs(blocks.filter(({ body }) => body !== null)),
  });
}

function shownProof(raw) {
  const { author, log, seq, ids, one, other } = proof(unhex(raw));
  const side = ({ headers, signature }) => ({ headers: headers.map((h) => h.raw), signature });
  return plain({ author, log, seq, ids, one: side(one), other: side(other) });
}

function shownKeptProof(proofs) {
  const kept = keptProof(proofs.map((raw) => proof(unhex(raw))));
  return plain({ kept: kept.raw, seq: kept.seq });
}

function shownStatement(given) {
  const { person, device: revoked, cuts } = statement(unhex(given.raw), unhex(given.signature));
  return plain({ person, device: revoked, cuts });
}

function shownKeptStatements(statements) {
  const read = statements.map(([raw, signature]) => statement(unhex(raw), unhex(signature)));
  return { kept: plain(keptStatements(read).map(({ raw, signature }) => [raw, signature])) };
}

function shownPairs(given) {
  const isPlain = (name) => ["kind", "seq", "head"].includes(name);
  const bytes = (item) =>
    Object.fromEntries(Object.entries(item).map(([n, v]) => [n, isPlain(n) ? v : unhex(v)]));
  const read = (items) => items.map(bytes);
  const found = pairs(read(given.proposals), read(given.agreements), read(given.withdrawals));
  return { pairs: found };
}

function shownHalfBlock(given) {
  const block = header(unhex(given.header));
  try {
    return plain(halfBlock(block, maybe(given.body)) ?? { is: null });
  } catch (error) {
    if (error instanceof Refused) return { is: null };
    throw error;
  }
}

function shownPost(body) {
  const { attachments, ...fields } = post(unhex(body));
  return { ...named(fields), attachments: plain(attachments) };
}

function shownMessage(raw) {
  const { number, rows, read } = message(unhex(raw));
  if (read !== undefined) return plain(read);
  if (rows === null) return { unknown: String(number) };
  return { [{ 6: "runs", 8: "bodies", 9: "statements", 10: "proofs" }[number]]: plain(rows) };
}

function shownStanding(given) {
  const pieces = given.pieces.map(([low, high, previous, tip]) => ({
    low,
    high,
    previous: unhex(previous),
    tip: unhex(tip),
  }));
  const branches = given.branches.map(([raw, isSigned, isBare]) => ({
    block: header(unhex(raw)),
    isSigned,
    isBare,
  }));
  const statements = given.statements.map(([raw, sig]) => [unhex(raw), unhex(sig)]);
  for (const [raw, sig] of statements) statement(raw, sig);
  const held = { ...given, author: unhex(given.author), roots: given.roots.map(unhex) };
  const convicts = given.proof === null ? null : proof(unhex(given.proof));
  return plain(standing({ ...held, pieces, branches, statements, proof: convicts }));
}

function shownKeyed({ log, count, part, ...given }) {
  const bytes = Object.entries(given).map(([name, value]) => [name, unhex(value)]);
  return plain(keyed({ log, count, part: part.map(unhex), ...Object.fromEntries(bytes) }));
}

export const READERS = {
  cbor: ({ raw, limit }) => ({ value: shown(decode(unhex(raw), limit)) }),
  words: ({ words: text }) => plain(words(text)),
  hkdf: ({ secret, label, length }) => ({ key: hex(hkdf(unhex(secret), unhex(label), length)) }),
  signature: (given) =>
    valid(verify(unhex(given.public), unhex(given.message), unhex(given.signature))),
  certificate: (given) =>
    valid(isCertified(unhex(given.person), unhex(given.device), unhex(given.certificate))),
  header: ({ raw }) => shownHeader(raw),
  "named body": (given) => {
    checkBody(header(unhex(given.header)), unhex(given.body));
    return { valid: true };
  },
  run: ({ blocks }) => shownRun(blocks),
  "fork proof": ({ raw }) => shownProof(raw),
  "kept proof": ({ proofs }) => shownKeptProof(proofs),
  branches: ({ headers, fork, trunk }) => ({
    kept: branches(headers.map((raw) => header(unhex(raw))), fork, maybe(trunk)),
  }),
  statement: shownStatement,
  "kept statements": ({ statements }) => shownKeptStatements(statements),
  link: ({ text }) => plain(link(text)),
  pairs: shownPairs,
  body: ({ body }) => named(outside(unhex(body))),
  device: ({ body, author }) => named(device(unhex(body), unhex(author))),
  profile: ({ body }) => named(profile(unhex(body))),
  post: ({ body }) => shownPost(body),
  agreement: ({ body }) => named(agreement(unhex(body))),
  withdraw: ({ body }) => named(withdrawal(unhex(body))),
  "half-block": shownHalfBlock,
  message: ({ raw }) => shownMessage(raw),
  envelope: ({ raw, token }) => plain(envelope(unhex(raw), unhex(token))),
  "frontier entry": ({ raw }) => plain(frontierEntry(unhex(raw))),
  bundle: ({ raw }) => plain(bundle(unhex(raw))),
  "sealed start": ({ raw }) => plain(sealed.start(unhex(raw))),
  chunks: ({ start, secret, chunks }) => ({
    chunks: plain(sealed.chunks(unhex(start), unhex(secret), chunks.map(unhex))),
  }),
  "sealed row": ({ start, secret, rows }) => ({
    row: plain(sealed.sealedRow(unhex(start), unhex(secret), rows.map(unhex))),
  }),
  row: ({ raw }) => plain(sealed.row(unhex(raw))),
  "sealed header": ({ raw, bound }) => plain(sealed.header(unhex(raw), unhex(bound))),
  end: ({ raw, device: writer, digest }) =>
    plain(sealed.end(unhex(raw), unhex(writer), unhex(digest))),
  "sealed bundle": ({ raw, secret }) => plain(sealed.sealedBundle(unhex(raw), unhex(secret))),
  seen: ({ raw }) => plain(seenOf(unhex(raw))),
  gaps: ({ ranges, valid, lsn }) => ({ gaps: gaps(ranges, valid, lsn) }),
  standing: shownStanding,
  scope: ({ logs }) =>
    plain(scope(logs.map(([author, log, digest]) => [unhex(author), log, unhex(digest)]))),
  keyed: shownKeyed,
};
