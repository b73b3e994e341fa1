// What bodies mean: docs/protocol.md, "Bodies" and "Kinds".

import { equal, isBytes, isNumber, isZero, must, utf8Size } from "./bytes.mjs";
import { MAX_LOG, MAX_SEQ } from "./blocks.mjs";
import { decode } from "./cbor.mjs";
import { isCertified } from "./people.mjs";

const MAX_BODY = 16_384;
const SALT = 16;
const TEXT = (value, low, high) =>
  typeof value === "string" && utf8Size(value) >= low && utf8Size(value) <= high;

/** Characters that no line holds. */
const CONTROL =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
/** A character that leaves a mark. */
const MARK = new RegExp(
  "[^\\u0020\\u00a0\\u00ad\\u034f\\u115f\\u1160\\u1680\\u17b4\\u17b5\\u180b-\\u180f" +
    "\\u2000-\\u200d\\u202f\\u205f-\\u2065\\u206a-\\u206f\\u2800\\u3000\\u3164\\ufe00-\\ufe0f" +
    "\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]",
  "u",
);

/** Read the outside of a body: its time and fields, or that it is sealed. */
export function outside(body) {
  must(body.length <= MAX_BODY, "too large");
  must(body.length > SALT, "no content");
  const items = decode(body.subarray(SALT), MAX_BODY);
  must(Array.isArray(items), "not an array");
  const [form, ...more] = items;
  if (form === 1) {
    must(more.length === 2 && isBytes(more[0], 16) && isBytes(more[1]), "not a sealed body");
    return { sealed: true };
  }
  must(form === 0, "a form that is not known");
  must(isNumber(more[0], 0, Number.MAX_SAFE_INTEGER), "time");
  return { time: more[0], fields: more.slice(1) };
}

function open(body) {
  const { sealed, time, fields } = outside(body);
  must(!sealed, "sealed");
  return { time, fields };
}

export function device(body, author) {
  const { time, fields } = open(body);
  const [sealing, person, certificate, ...rest] = fields;
  must(isBytes(sealing, 32) && isBytes(person, 32) && isBytes(certificate, 64), "device");
  const belongsTo = isCertified(person, author, certificate) ? person : author;
  return { time, sealing, person, certificate, rest, belongsTo };
}

export function profile(body) {
  const { time, fields } = open(body);
  const [name, about, ...rest] = fields;
  must(TEXT(name, 1, 64) && !CONTROL.test(name) && MARK.test(name), "name");
  must(TEXT(about, 0, 1_024), "about");
  return { time, name, about, rest };
}

export function post(body) {
  const { time, fields } = open(body);
  const [text, replyTo, attachments, ...rest] = fields;
  must(TEXT(text, 1, 8_192), "text");
  must(replyTo !== undefined, "reply");
  must(Array.isArray(attachments) && attachments.length <= 16, "attachments");
  attachments.forEach(checkAttachment);
  return { time, text, replyTo: replyTo === null ? null : reference(replyTo), attachments, rest };
}

function checkAttachment(item) {
  must(Array.isArray(item) && item.length === 4, "an attachment has four parts");
  const [hash, size, type, name] = item;
  must(isBytes(hash, 32) && isNumber(size, 0, Number.MAX_SAFE_INTEGER), "hash and size");
  must(TEXT(type, 0, 128) && !CONTROL.test(type), "type");
  must(TEXT(name, 0, 255) && !CONTROL.test(name) && !/[/\\]/.test(name), "name");
}

function reference(value) {
  must(Array.isArray(value) && value.length === 4, "a reference has four parts");
  const [author, log, seq, id] = value;
  must(isBytes(author, 32) && isNumber(log, 0, MAX_LOG), "author and log");
  must(isNumber(seq, 1, MAX_SEQ) && isBytes(id, 32), "seq and id");
  return { author, log, seq, id };
}

export function agreement(body) {
  const { time, fields } = open(body);
  const [value, head, ...rest] = fields;
  const proposal = reference(value);
  must(proposal.log === 0, "a proposal stands in log 0");
  must(isNumber(head, proposal.seq, MAX_SEQ), "head");
  return { time, proposal, head, rest };
}

export function withdrawal(body) {
  const { time, fields } = open(body);
  const [proposal, ...rest] = fields;
  must(isBytes(proposal, 32), "the id of a proposal");
  return { time, proposal, rest };
}

/** Read a block as a part of a two-party record, or return null. */
export function halfBlock(block, body) {
  const { id, author, seq, log, kind, counterparty: other } = block;
  if (log !== 0 || (kind === "withdraw") !== (other === null)) return null;
  if (other !== null && isZero(other.proposal)) {
    return { is: "proposal", id, device: author, seq, person: author, asked: other.person, kind };
  }
  if (body === null) return null;
  if (other === null) {
    const { proposal } = withdrawal(body);
    return { is: "withdrawal", device: author, seq, proposal };
  }
  const said = agreement(body);
  must(equal(said.proposal.id, other.proposal), "header and body name different proposals");
  const { person: proposer, proposal } = other;
  return { is: "agreement", id, person: author, proposal, proposer, kind, head: said.head };
}
