// How logs stand, digests of scopes, what travels of both: docs/protocol.md, "Meetings".

import { createHmac } from "node:crypto";
import { compare, concat, context, equal, hex, isZero, sha256 } from "./bytes.mjs";
import { array, bytes, nothing, number } from "./spell.mjs";

const NONE = new Uint8Array();
const BUCKETS = 256;

function u(value, size) {
  const raw = Buffer.alloc(8);
  raw.writeBigUInt64BE(BigInt(value));
  return new Uint8Array(raw.subarray(8 - size));
}

/** Say how a log stands, from what is held of it. */
export function standing({ author, log, roots, pieces, missing, lacking, ...rest }) {
  const { proof, branches, statements } = rest;
  const [first] = pieces;
  const isJoined =
    first !== undefined && first.low === 1 && roots.some((root) => equal(root, first.previous));
  const detached = isJoined ? pieces.slice(1) : pieces;
  const seq = proof ? proof.seq : isJoined ? first.high : 0;
  const ids = proof ? proof.ids : isJoined ? [first.tip] : [];
  const ranges = proof ? pieces : detached.slice(0, 4);
  const entry = (named) =>
    array(
      bytes(author),
      number(log),
      number(seq),
      array(...named.map(bytes)),
      array(...ranges.map(({ low, high }) => array(number(low), number(high)))),
      missing.length ? number(missing[0]) : nothing,
    );
  const kept = branchesDigest(branches);
  const tips = concat(...pieces.map(({ tip }) => tip));
  const wanted = [missing.length ? lacking : 0, ...missing].map((seq) => u(seq, 5));
  const held = sha256(context("standing"), entry(proof ? [] : ids), ...wanted, tips, kept);
  const evidence = evidenceHash(proof, statements);
  return {
    entry: entry(ids),
    plain: !proof && ranges.length === 0 && missing.length === 0,
    branches: kept,
    held,
    evidence,
    digest: sha256(held, evidence),
  };
}

function evidenceHash(proof, statements) {
  if (!proof && statements.length === 0) return NONE;
  const parts = statements.map(([raw, signature]) => sha256(raw, signature));
  return sha256(context("evidence"), proof ? u(proof.seq, 8) : NONE, ...parts);
}

/** `blocks` are headers, each with whether its signature is held and a wanted body is not. */
function branchesDigest(blocks) {
  const byId = new Map(blocks.map(({ block }) => [hex(block.id), block]));
  const vouched = new Map();
  for (const { block, isSigned } of blocks) {
    let at = isSigned ? block : undefined;
    while (at !== undefined && !vouched.has(hex(at.id))) {
      vouched.set(hex(at.id), at.id);
      at = byId.get(hex(at.previous));
    }
  }
  if (vouched.size === 0) return NONE;
  const bare = new Set(blocks.filter(({ isBare }) => isBare).map(({ block }) => hex(block.id)));
  const shown = [...vouched.values()].sort(compare).flatMap((id) => [id, u(bare.has(hex(id)) ? 1 : 0, 1)]);
  return sha256(context("branches"), ...shown);
}

function bucketOf(author, log) {
  return sha256(context("log"), author, u(log, 4))[0];
}

/** Return the digest of a scope whose logs are [author, log, digest of how it stands]. */
export function scope(logs) {
  const order = ([a, n], [b, m]) => compare(a, b) || n - m;
  const sorted = [...logs].sort(order);
  const hashes = [];
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const some = sorted.filter(([author, log]) => bucketOf(author, log) === bucket);
    const parts = some.flatMap(([author, log, digest]) => [author, u(log, 4), digest]);
    hashes.push(some.length ? sha256(context("bucket"), ...parts) : null);
  }
  const root = sha256(context("scope"), ...hashes.map((hash) => hash ?? new Uint8Array(32)));
  const buckets = Object.fromEntries([...hashes.entries()].filter(([, hash]) => hash !== null));
  return { count: logs.length, buckets, root };
}

/** Return what travels of hashes in the meeting with this binding. */
export function keyed({ binding, author, log, count, ...given }) {
  const hmac = (what, size, ...parts) => {
    const key = createHmac("sha256", binding).update(context(what));
    return new Uint8Array(key.update(concat(...parts)).digest().subarray(0, size));
  };
  const { held, evidence, branches, id, root, bucket, part, group, tag, lock, mail } = given;
  const ofSome = (what, size, hash) => (hash.length ? hmac(what, size, hash) : NONE);
  const shown = hmac("check/bucket", 4, bucket);
  return {
    short: concat(new Uint8Array([bucketOf(author, log)]), hmac("short", 7, author, u(log, 4))),
    check: hmac("check", 4, held),
    evidence: ofSome("check/evidence", 4, evidence),
    branches: ofSome("check/branches", 8, branches),
    ids: { compared: hmac("check/id", 8, id), followed: hmac("check/id", 4, id) },
    root: hmac("check/root", 16, group, root),
    bucket: isZero(shown) ? new Uint8Array([0, 0, 0, 1]) : shown,
    part: hmac("check/part", 4, ...part.map((hash) => (hash.length ? hash : new Uint8Array(32)))),
    scope: {
      initiator: ofSome("scope/initiator", 16, group),
      responder: ofSome("scope/responder", 16, group),
    },
    count: hidden(count, ofSome("scope/count", 4, group)),
    mail: {
      envelope: concat(
        hmac("mail/tag", 4, tag),
        hmac("mail/lock", 3, lock),
        hmac("mail/id", 3, mail),
        mail.subarray(0, 2),
      ),
      token: hmac("mail/lock", 5, lock),
    },
  };
}

/** Return a number XORed with what only members can tell; as it is where there is nothing. */
function hidden(count, mask) {
  const bits = mask.length ? BigInt(`0x${hex(mask)}`) : 0n;
  return Number(BigInt(count) ^ bits);
}
