// Rows to columns. A row is a record of layout.ts in the flusher's row buffer; a column is the same field of every row, one
// value after another at its natural width.
//
// SIMD lane loads against plain loads, four rows a turn. M values/s by width, and M rows/s for five columns of 8, 8, 8, 4 and
// 1 bytes; 10,000 rows, medians of 28 on two shared cores of an AMD EPYC:
//
//                     rows 48 bytes apart                    rows 64 bytes apart
//                     8      4      2      1    columns      8      4      2      1    columns
//   Node 20  SIMD  2411   2682   2652   2760        500   1739   2344   2475   2572        399
//            plain 2110   2131   2122   2128        422   1765   1975   1994   1998        363
//   Node 26  SIMD  2579   2831   2403   1826        475   1809   2500   2092   1689        403
//            plain 2132   2151   2139   2148        429   1814   1996   2002   2020        389
//   Deno 2.9 SIMD  1661   1768   1788   1581        338   1465   1664   1663   1496        314
//            plain 1194   1199   1218   1251        242   1154   1161   1175   1234        235
//   Bun 1.4  SIMD  1752   1859   1815   1605        347   1569   1762   1678   1476        320
//            plain 2161   2171   2173   2180        433   2017   2059   2052   2042        384
//
// So for those five columns SIMD saves 0.2 to 0.4 ns a row on Node and 1.2 on Deno, and costs 0.6 on Bun.
import { RECORD_SIZE } from './layout';

// Where row i lies: `rows + i * step`, or (`indexed`, a constant) the i-th u32 of an index at `rows`.
// @ts-ignore: decorator
@inline
function row(rows: usize, i: usize, step: usize, indexed: bool): usize {
  return indexed ? <usize>load<u32>(rows + (i << 2)) : rows + i * step;
}

// The next values of a column, as many as fill 16 bytes. `at`: the first row, or its index entry.
// @ts-ignore: decorator
@inline
function sixteenBytes<T>(at: usize, step: usize, offset: usize, indexed: bool): v128 {
  let v = i64x2.splat(0);
  v = v128.load_lane<T>(row(at, 0, step, indexed) + offset, v, 0);
  v = v128.load_lane<T>(row(at, 1, step, indexed) + offset, v, 1);
  if (sizeof<T>() <= 4) {
    v = v128.load_lane<T>(row(at, 2, step, indexed) + offset, v, 2);
    v = v128.load_lane<T>(row(at, 3, step, indexed) + offset, v, 3);
  }
  if (sizeof<T>() <= 2) {
    v = v128.load_lane<T>(row(at, 4, step, indexed) + offset, v, 4);
    v = v128.load_lane<T>(row(at, 5, step, indexed) + offset, v, 5);
    v = v128.load_lane<T>(row(at, 6, step, indexed) + offset, v, 6);
    v = v128.load_lane<T>(row(at, 7, step, indexed) + offset, v, 7);
  }
  if (sizeof<T>() == 1) {
    v = v128.load_lane<T>(row(at, 8, step, indexed) + offset, v, 8);
    v = v128.load_lane<T>(row(at, 9, step, indexed) + offset, v, 9);
    v = v128.load_lane<T>(row(at, 10, step, indexed) + offset, v, 10);
    v = v128.load_lane<T>(row(at, 11, step, indexed) + offset, v, 11);
    v = v128.load_lane<T>(row(at, 12, step, indexed) + offset, v, 12);
    v = v128.load_lane<T>(row(at, 13, step, indexed) + offset, v, 13);
    v = v128.load_lane<T>(row(at, 14, step, indexed) + offset, v, 14);
    v = v128.load_lane<T>(row(at, 15, step, indexed) + offset, v, 15);
  }
  return v;
}

// @ts-ignore: decorator
@inline
function gather<T>(rows: usize, step: usize, count: u32, offset: usize, out: usize, indexed: bool): void {
  const advance: usize = indexed ? 4 : step;
  const lanes: u32 = 16 / sizeof<T>();
  let left = count;
  // Twice a turn where 16 bytes are two values: a store for every two loads leaves the loop's own cost showing.
  if (sizeof<T>() == 8) {
    for (; left >= 4; left -= 4) {
      const a = sixteenBytes<T>(rows, step, offset, indexed);
      const b = sixteenBytes<T>(rows + advance * 2, step, offset, indexed);
      v128.store(out, a);
      v128.store(out, b, 16);
      rows += advance * 4;
      out += 32;
    }
  } else {
    for (; left >= lanes; left -= lanes) {
      v128.store(out, sixteenBytes<T>(rows, step, offset, indexed));
      rows += advance * lanes;
      out += 16;
    }
  }
  for (; left > 0; left--) {
    store<T>(out, load<T>(row(rows, 0, step, indexed) + offset));
    rows += advance;
    out += sizeof<T>();
  }
}

/** The `width` (1, 2, 4, 8) bytes at `offset` of each of `count` rows, which lie `stride` bytes apart. */
function gatherStrided(rows: usize, stride: u32, count: u32, offset: u32, width: u32, out: usize): void {
  if (width == 8) gather<u64>(rows, stride, count, offset, out, false);
  else if (width == 4) gather<u32>(rows, stride, count, offset, out, false);
  else if (width == 2) gather<u16>(rows, stride, count, offset, out, false);
  else if (width == 1) gather<u8>(rows, stride, count, offset, out, false);
}

/** The same for rows of any length, `index` being a u32 pointer to each. */
function gatherIndexed(index: usize, count: u32, offset: u32, width: u32, out: usize): void {
  if (width == 8) gather<u64>(index, 0, count, offset, out, true);
  else if (width == 4) gather<u32>(index, 0, count, offset, out, true);
  else if (width == 2) gather<u16>(index, 0, count, offset, out, true);
  else if (width == 1) gather<u8>(index, 0, count, offset, out, true);
}

/** Rows that are gathered column by column before the next: they and their columns stay in the first-level cache meanwhile. */
const TILE: u32 = 256;

/**
 * Several columns of `count` rows, which lie `stride` bytes apart, or (`indexed` not 0) are pointed to by a u32 each. `columns` of them are
 * told by `table`: u32 offset in a row, u32 width (1, 2, 4, 8), u32 pointer to the column.
 */
export function gatherColumns(rows: usize, stride: u32, indexed: u32, count: u32, table: usize, columns: u32): void {
  const step: u32 = indexed != 0 ? 4 : stride;
  for (let from: u32 = 0; from < count; from += TILE) {
    const tile = min<u32>(TILE, count - from);
    const first = rows + <usize>from * step;
    for (let column: u32 = 0; column < columns; column++) {
      const entry = table + <usize>column * 12;
      const offset = load<u32>(entry);
      const width = load<u32>(entry, 4);
      const out = <usize>load<u32>(entry, 8) + <usize>from * width;
      if (indexed != 0) gatherIndexed(first, tile, offset, width, out);
      else gatherStrided(first, stride, tile, offset, width, out);
    }
  }
}

/** Moves bytes within the memory; the typed arrays' own `copyWithin` copies shared memory word by word. */
export function move(out: usize, from: usize, bytes: usize): void {
  memory.copy(out, from, bytes);
}

// memory.copy is a call out of WASM: 16 bytes 4.5 ns against 2.9 (Node 20), 9.8 against 5.1 (Deno); from some 64 on it wins.
// @ts-ignore: decorator
@inline
function copyBytes(out: usize, from: usize, length: u32): void {
  if (length > 64) {
    memory.copy(out, from, length);
  } else if (length >= 8) {
    // The last word overlaps the one before it, so that no byte outside is read or written.
    const last = length - 8;
    for (let i: u32 = 0; i < last; i += 8) store<u64>(out + i, load<u64>(from + i));
    store<u64>(out + last, load<u64>(from + last));
  } else if (length >= 4) {
    const last = length - 4;
    store<u32>(out, load<u32>(from));
    store<u32>(out + last, load<u32>(from + last));
  } else {
    for (let i: u32 = 0; i < length; i++) store<u8>(out + i, load<u8>(from + i));
  }
}

/**
 * Copies varying field number `which` (from 0, among the varying ones) of every row to `out`, one after another.
 * `lengthOffsets`: u32 each, where in a record the varying fields' lengths lie; their bytes follow its first `fixedBytes`.
 * Answers the bytes copied, or -1 where they would reach past `outEnd` or a length reaches past its own record.
 */
export function gatherVarying(
  index: usize,
  count: u32,
  fixedBytes: u32,
  lengthOffsets: usize,
  which: u32,
  out: usize,
  outEnd: usize,
): i32 {
  if (outEnd < out) return -1;
  const room = min<usize>(outEnd - out, i32.MAX_VALUE);
  let total: usize = 0;
  for (let i: u32 = 0; i < count; i++) {
    const record = <usize>load<u32>(index);
    index += 4;
    const size = load<u32>(record, RECORD_SIZE);
    if (size < fixedBytes) return -1;
    let left = size - fixedBytes;
    let from = record + fixedBytes;
    for (let field: u32 = 0; field < which; field++) {
      const skipped = load<u32>(record + load<u32>(lengthOffsets + ((<usize>field) << 2)));
      if (skipped > left) return -1;
      left -= skipped;
      from += skipped;
    }
    const length = load<u32>(record + load<u32>(lengthOffsets + ((<usize>which) << 2)));
    if (length > left || length > <u32>(room - total)) return -1;
    copyBytes(out + total, from, length);
    total += length;
  }
  return <i32>total;
}
