// Messages and bundles: docs/protocol.md, "Messages", "Bundles".

import { context, equal, isBytes, isNumber, must, Refused, sha256 } from "./bytes.mjs";
import { MAX_LOG, MAX_SEQ } from "./blocks.mjs";
import { decode } from "./cbor.mjs";
import { control } from "./control.mjs";
import { postal } from "./mail.mjs";

const MAX_MESSAGE = 65_000;
const MAX_COUNT = 2 ** 53 - 1;
const MAGIC = new Uint8Array([0x89, 0x70, 0x61, 0x6c, 0x0d, 0x0a, 0x1a, 0x0a]);
const isAtMost = (value, most) => isBytes(value) && value.length <= most;

/** Read one message. */
export function message(raw) {
  const items = decode(raw, MAX_MESSAGE);
  must(Array.isArray(items) && items.length > 0, "not a message");
  const [number, ...rest] = items;
  const read = control(number, rest) ?? postal(number, rest);
  if (read !== undefined) return { number, read };
  const [rows] = rest;
  const reader = { 6: readRun, 8: readLate, 9: readStatement, 10: readProof }[number];
  if (reader === undefined) {
    must(typeof number === "bigint" ? number >= 0n : isNumber(number, 0, Infinity), "number");
    return { number, rows: null };
  }
  must(items.length === 2 && Array.isArray(rows) && rows.length > 0, "rows");
  return { number, rows: rows.map(reader) };
}

function readRun(row) {
  must(Array.isArray(row) && row.length >= 4 && row.length % 3 === 1, "hops and triples");
  const [hops, ...parts] = row;
  must(isNumber(hops, 0, 255), "hops");
  const blocks = [];
  for (let at = 0; at < parts.length; at += 3) {
    const [header, signature, body] = parts.slice(at, at + 3);
    must(isAtMost(header, 258), "header");
    must(isBytes(signature, 0) || isBytes(signature, 64), "signature");
    must(body === null || isAtMost(body, 16_384), "body");
    blocks.push([header, signature, body]);
  }
  return { hops, blocks };
}

function readLate(row) {
  must(Array.isArray(row) && row.length === 4, "a late body has four parts");
  const [author, log, seq, body] = row;
  must(isBytes(author, 32) && isNumber(log, 0, MAX_LOG) && isNumber(seq, 1, MAX_SEQ), "where");
  must(isAtMost(body, 16_384), "body");
  return row;
}

function readStatement(row) {
  must(Array.isArray(row) && row.length === 2, "a statement and a signature");
  must(isAtMost(row[0], 2_048) && isBytes(row[1], 64), "statement");
  return row;
}

function readProof(row) {
  must(isAtMost(row, 40_000), "proof");
  return row;
}

/** Read a bundle: its messages' bytes, its trailer and how it ends. */
export function bundle(raw) {
  const frames = new Frames(raw);
  const header = frames.next();
  must(header.payload, "the header is cut or damaged");
  const purpose = readPurpose(header.payload);
  const messages = [];
  for (;;) {
    const { payload, ending } = frames.next();
    if (ending) return { purpose, messages, trailer: null, ending };
    if (payload[0] !== 0x84 || payload[1] !== 0x0f) {
      messages.push(payload);
      continue;
    }
    const trailer = readTrailer(payload, messages.length);
    if (trailer === null) return { purpose, messages, trailer, ending: "damaged" };
    return { purpose, messages, trailer, ending: frames.isAtEnd ? "whole" : "more" };
  }
}

/** The frames of a file, one after the other; `most` is the size that a payload may have. */
export class Frames {
  constructor(raw) {
    must(equal(raw.subarray(0, 8), MAGIC), "not a bundle");
    this.most = MAX_MESSAGE;
    this.raw = Buffer.from(raw);
    this.at = MAGIC.length;
    this.digest = sha256(context("bundle"), MAGIC);
  }

  get isAtEnd() {
    return this.at === this.raw.length;
  }

  next() {
    const { raw, at } = this;
    if (raw.length < at + 12) return { ending: "cut" };
    const size = raw.readUInt32BE(at);
    if (size < 1 || size > this.most) return { ending: "damaged" };
    if (raw.length < at + 12 + size) return { ending: "cut" };
    const payload = new Uint8Array(raw.subarray(at + 12, at + 12 + size));
    const digest = sha256(this.digest, payload);
    if (!equal(digest.subarray(0, 8), raw.subarray(at + 4, at + 12))) return { ending: "damaged" };
    this.digest = digest;
    this.at = at + 12 + size;
    return { payload };
  }
}

function readPurpose(payload) {
  const items = decode(payload, MAX_MESSAGE);
  must(Array.isArray(items) && items[0] === 1 && items[1] === 0, "not an open bundle of version 1");
  return items[1];
}

function readTrailer(payload, count) {
  try {
    const [, frames, blocks, envelopes] = decode(payload, MAX_MESSAGE);
    must(frames === count, "another number of frames");
    must(isNumber(blocks, 0, MAX_COUNT) && isNumber(envelopes, 0, MAX_COUNT), "counts");
    return { frames, blocks, envelopes };
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}
