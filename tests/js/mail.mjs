// Envelopes, and messages about mail: docs/protocol.md, "Messages", "Envelopes".

import { context, equal, isBytes, isNumber, must, sha256 } from "./bytes.mjs";
import { decode } from "./cbor.mjs";

const MAX_CIPHERTEXT = 8_192;
const MAX_ENVELOPE = 8_248;
const MAX_LIFE = 7 * 24 * 60;
const ROW = 14;
const NAME = 5;
const MAX_ROWS = 256;
const MAX_INDEX = 2 ** 13 - 1;
const MAX_SERIAL = 2 ** 53 - 1;
const CLASSES = [0, 1, 4, 6];
const WHYS = ["UNWANTED", "GONE", "LATER", "OTHER"];

const isLife = (value) => isNumber(value, 1, MAX_LIFE);
const isIndex = (value) => isNumber(value, 0, MAX_INDEX);
const isList = (value, least = 0) => Array.isArray(value) && value.length >= least;

/** Read an envelope, and say whether `token` opens its lock. */
export function envelope(raw, token) {
  const items = decode(raw, MAX_ENVELOPE);
  must(isList(items) && items.length === 4 && isNumber(items[0], 1, 23), "four, a version");
  const [, tag, lock, ciphertext] = items;
  must(isBytes(tag, 16) && isBytes(lock, 32) && isBytes(ciphertext), "tag, lock, ciphertext");
  must(ciphertext.length >= 1 && ciphertext.length <= MAX_CIPHERTEXT, "1 to 8,192 bytes");
  const opens = equal(sha256(context("token"), token), lock);
  return { id: sha256(context("envelope"), raw), tag, lock, opens };
}

/** Read the items after the number of a message, or return undefined for another number. */
export function postal(number, items) {
  const read = READERS[number];
  if (read === undefined) return undefined;
  const [name, count, reader] = read;
  must(items.length === count, "items");
  return { [name]: reader(...items) };
}

const READERS = {
  11: ["envelopes", 1, (rows) => list(rows, parcel)],
  13: ["tokens", 1, (rows) => list(rows, receipt)],
  20: ["offers", 6, offers],
  21: ["take", 3, take],
  22: ["leave", 2, leave],
  23: ["pieces", 1, (rows) => list(rows, piece)],
};

function list(rows, reader) {
  must(isList(rows, 1), "an array that is not empty");
  return rows.map(reader);
}

function outside(hops, life, copies) {
  must(isNumber(hops, 0, 10) && isLife(life) && isNumber(copies, 0, 64), "hops, life, copies");
}

function parcel(row) {
  must(isList(row) && row.length === 4, "four");
  const [raw, ...beside] = row;
  must(isBytes(raw) && raw.length <= MAX_ENVELOPE, "an envelope");
  outside(...beside);
  return row;
}

function piece(row) {
  must(isList(row) && row.length === 7, "seven");
  const [index, offset, size, part, ...beside] = row;
  must(isIndex(index) && isNumber(size, 1, MAX_ENVELOPE), "a row and a size");
  must(isBytes(part) && part.length > 0, "a part");
  must(isNumber(offset, 0, size - part.length), "where it begins");
  outside(...beside);
  return row;
}

function receipt(row) {
  must(isList(row) && row.length === 3, "three");
  const [tag, token, life] = row;
  must(isBytes(tag, 16) && isBytes(token, 16) && isLife(life), "a token");
  return row;
}

function offers(last, low, high, ...rows) {
  must(last === 0 || last === 1, "last");
  const isNone = low === 0 && high === 0;
  must(isNone || (isNumber(low, 1, MAX_SERIAL) && isNumber(high, low, MAX_SERIAL)), "serials");
  const [envelopes, singles, receipts] = rows.map((some, at) => cut(some, at < 2 ? ROW : NAME));
  must(envelopes.length + singles.length + receipts.length <= MAX_ROWS, "256 rows");
  const lived = (some) =>
    some.map((row) => [row.subarray(0, ROW - 2), Buffer.from(row).readUInt16BE(ROW - 2)]);
  return { last: last === 1, low, high, envelopes: lived(envelopes), singles: lived(singles), receipts };
}

function cut(rows, size) {
  must(isBytes(rows) && rows.length % size === 0, "whole rows");
  return Array.from({ length: rows.length / size }, (_, at) =>
    rows.subarray(at * size, (at + 1) * size),
  );
}

function indexes(rows) {
  must(isList(rows, 1) && rows.length <= MAX_ROWS && rows.every(isIndex), "1 to 256 rows");
  must(new Set(rows).size === rows.length, "a row twice");
  return rows;
}

function take(rank, taken, begun) {
  must(CLASSES.includes(rank), "class");
  const rows = indexes(taken);
  must(isList(begun) && begun.length % 2 === 0, "offsets");
  const offsets = [];
  for (let at = 0; at < begun.length; at += 2) {
    const [row, offset] = begun.slice(at, at + 2);
    must(rows.includes(row) && isNumber(offset, 1, MAX_ENVELOPE - 1), "an offset");
    must(at === 0 || row > begun[at - 2], "ascending");
    offsets.push([row, offset]);
  }
  return { class: rank, rows, offsets };
}

function leave(why, rows) {
  must(WHYS[why] !== undefined, "why");
  return { why: WHYS[why], rows: indexes(rows) };
}
