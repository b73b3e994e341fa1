// Frontier entries: docs/protocol.md, "Frontier entries".

import { compare, isBytes, isNumber, must } from "./bytes.mjs";
import { MAX_LOG, MAX_SEQ } from "./blocks.mjs";
import { decode } from "./cbor.mjs";

/** Read a frontier entry. */
export function frontierEntry(raw) {
  const items = decode(raw, 256);
  must(Array.isArray(items) && items.length === 6, "six fields");
  const [author, log, seq, ids, ranges, missing] = items;
  must(isBytes(author, 32) && isNumber(log, 0, MAX_LOG) && isNumber(seq, 0, MAX_SEQ), "where");
  must(Array.isArray(ids) && ids.length <= 2 && ids.every((id) => isBytes(id, 32)), "ids");
  must((seq === 0) === (ids.length === 0), "an id if and only if there is a seq");
  const isForked = ids.length === 2;
  must(!isForked || compare(ids[0], ids[1]) < 0, "ids ascend");
  must(Array.isArray(ranges) && ranges.length <= (isForked ? 5 : 4), "too many ranges");
  const most = isForked ? seq - 1 : MAX_SEQ;
  let least = ids.length === 1 ? seq + 2 : 1;
  for (const range of ranges) {
    must(Array.isArray(range) && range.length === 2, "first and last seq");
    const [low, high] = range;
    must(isNumber(low, least, most) && isNumber(high, low, most), "ascending, with gaps");
    least = high + 2;
  }
  must(missing === null || isNumber(missing, 1, MAX_SEQ), "missing");
  return { author, log, seq, ids, ranges, missing };
}
