// Sealed bundles: docs/protocol.md, "Sealed bundles" and what follows it.

import { concat, context, isBytes, isNumber, must, Refused, sha256 } from "./bytes.mjs";
import { decode } from "./cbor.mjs";
import { seen } from "./control.mjs";
import { hkdf, verify } from "./ed25519.mjs";
import { frontierEntry } from "./frontier.mjs";
import { Frames } from "./gossip.mjs";
import { agree, sealingKeyOf, Stream, unlock } from "./secretstream.mjs";

const MAX_MESSAGE = 65_000;
const MAX_CHUNK = MAX_MESSAGE + 17;
const MAX_COUNT = 2 ** 53 - 1;
const MAX_ROW = 4_096;
const SLOT = 48;
const FINAL = 3;

const isLsn = (value) => isNumber(value, 1, MAX_COUNT);
const isCount = (value) => isNumber(value, 0, MAX_COUNT);
const isList = (value, most = Infinity) => Array.isArray(value) && value.length <= most;

/** Read the header of the file: the first payload. */
export function start(raw) {
  const items = decode(raw, MAX_MESSAGE);
  must(isList(items) && items.length >= 5 && items[0] === 1 && items[1] === 1, "sealed, version 1");
  const [, , ephemeral, slots, stream] = items;
  must(isBytes(ephemeral, 32) && isBytes(stream, 24), "a key and a stream");
  must(isBytes(slots) && slots.length > 0 && slots.length % (8 * SLOT) === 0, "slots by eight");
  must(slots.length <= 64 * SLOT, "up to 64 slots");
  const all = Array.from({ length: slots.length / SLOT }, (_, at) =>
    slots.subarray(at * SLOT, (at + 1) * SLOT),
  );
  return { ephemeral, slots: all, stream };
}

/** Open a file with a device's sealing secret: return its stream, and what opens the rows. */
function open(raw, secret) {
  const { ephemeral, slots, stream } = start(raw);
  const shared = agree(secret, ephemeral);
  must(shared !== null, "a key of small order");
  const derive = (what) =>
    hkdf(shared, concat(context(what), ephemeral, sealingKeyOf(secret)), 32);
  const slotKey = derive("bundle/slot");
  const key = slots.map((slot) => unlock(slot, slotKey)).find((opened) => opened !== null);
  must(key !== undefined, "no slot for this device");
  return { stream: new Stream(key, stream, sha256(raw)), rowKey: derive("bundle/row") };
}

/** Return the text of the next chunk and whether it is the last, or null if it is damage. */
function pulled(stream, chunk) {
  const found = stream.pull(chunk);
  return found !== null && [0, FINAL].includes(found.tag) ? [found.plain, found.tag === FINAL] : null;
}

export function chunks(raw, secret, some) {
  const { stream } = open(raw, secret);
  return some.map((chunk) => {
    const found = pulled(stream, chunk);
    must(found !== null, "a chunk that does not open");
    return found;
  });
}

const rowOf = (rows, key) => rows.map((one) => unlock(one, key)).find((said) => said !== null) ?? null;

export function sealedRow(raw, secret, rows) {
  return rowOf(rows, open(raw, secret).rowKey);
}

/** Read a row that was opened. */
export function row(raw) {
  const items = decode(raw, MAX_ROW);
  must(isList(items) && items.length >= 5, "five");
  const [runs, covers, base, heard, processed] = items;
  must(isList(runs, 128) && runs.length % 2 === 0, "64 runs");
  const found = [];
  for (let at = 0; at < runs.length; at += 2) {
    const [name, last] = runs.slice(at, at + 2);
    must(isBytes(name, 8) && isLsn(last), "a run");
    must(at === 0 || last > runs[at - 1], "runs ascend");
    found.push([name, last]);
  }
  must(isList(covers), "ranges");
  const { ranges } = covers.length ? seen([new Uint8Array(8), covers]) : { ranges: [] };
  must(base === null || (isList(base) && base.length === 2), "a base");
  must(base === null || (isBytes(base[0], 8) && isLsn(base[1])), "a base");
  must(isCount(heard), "heard");
  const told = processed === null ? null : seen(processed);
  return { runs: found, covers: ranges, base, heard, seen: told };
}

function rowOrNone(raw) {
  try {
    return raw === null ? null : row(raw);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** Read and check the first chunk; `bound` is the hash of the first payload. */
export function header(chunk, bound) {
  must(chunk.length >= 64, "a signature");
  const [raw, signature] = [chunk.subarray(0, -64), chunk.subarray(-64)];
  const items = decode(raw, MAX_MESSAGE);
  must(isList(items) && items.length >= 6, "six");
  const [device, name, count, part, rows, frontier] = items;
  must(isBytes(device, 32) && isBytes(name, 8), "a device and an export");
  must(isLsn(count) && isNumber(part, 1, 9_999), "count and part");
  must(isList(rows, 64) && rows.every((one) => isBytes(one) && one.length <= MAX_ROW), "rows");
  must(isList(frontier, 4_096) && frontier.every((one) => isBytes(one)), "a frontier");
  frontier.forEach(frontierEntry);
  must(verify(device, concat(context("bundle"), bound, raw), signature), "its signature");
  return { device, export: name, count, part, rows, frontier };
}

/** Read and check the last chunk; `digest` is over all payloads before it. */
export function end(chunk, device, digest) {
  const items = decode(chunk, MAX_MESSAGE);
  must(isList(items) && items.length === 6 && items[0] === 15, "an end");
  const [, frames, blocks, envelopes, last, signature] = items;
  must([frames, blocks, envelopes].every(isCount) && (last === 0 || last === 1), "counts");
  must(isBytes(signature, 64), "a signature");
  const numbers = concat(Uint8Array.of(0x85), chunk.subarray(1, -66));
  must(verify(device, concat(context("bundle/end"), digest, numbers), signature), "its signature");
  return { frames, blocks, envelopes, is_last: last === 1 };
}

/** Read a whole file that is sealed to the device with this sealing secret. */
export function sealedBundle(raw, secret) {
  const frames = new Frames(raw);
  const { payload: first } = frames.next();
  must(first !== undefined, "the header is cut or damaged");
  const { stream, rowKey } = open(first, secret);
  const bound = sha256(first);
  frames.most = MAX_CHUNK;
  const found = { header: null, row: null, messages: [], end: null, trailer: null };
  for (let count = 0; ; count += 1) {
    const before = frames.digest;
    const { payload, ending } = frames.next();
    if (ending) return { ...found, ending };
    const opened = pulled(stream, payload);
    if (opened === null) return { ...found, ending: "damaged" };
    const [plain, isFinal] = opened;
    if (isFinal) return { ...found, ...ended(plain, found.header, before, count, frames.isAtEnd) };
    if (found.header !== null) {
      found.messages.push(plain);
      continue;
    }
    found.header = header(plain, bound);
    found.row = rowOrNone(rowOf(found.header.rows, rowKey));
  }
}

function ended(plain, told, before, count, isAtEnd) {
  try {
    must(told !== null, "an end before the header");
    const said = end(plain, told.device, before);
    must(said.frames === count, "another number of frames");
    const { frames, blocks, envelopes } = said;
    return { end: said, trailer: { frames, blocks, envelopes }, ending: isAtEnd ? "whole" : "more" };
  } catch (error) {
    if (error instanceof Refused) return { ending: "damaged" };
    throw error;
  }
}
