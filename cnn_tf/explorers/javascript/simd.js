/**
 * `multiply` in WebAssembly, four numbers at a time: its bytes, written by the assembler below.
 *
 * A block of C, four rows by eight columns, stays in the processor's registers while a column of A
 * meets a row of B:
 *
 *     for each eight columns j of C (the last may be 6, 4 or 2)
 *       for each four rows i of C (the rest one by one)
 *         block = C[i.., j..]
 *         for each p < k: block[r, :] += A[i + r, p] * B[p, j..]
 *         C[i.., j..] = block
 *
 * Where fewer columns are left, the same loads reach into the next row of B or of C; what comes of
 * them is not stored. So a memory needs 32 spare bytes at its end.
 *
 * The format and the numbers of the instructions: W3C, *WebAssembly Core Specification*, chapter 5.
 */

/** @typedef {number[]} Code */

// --- The assembler -------------------------------------------------------------------------------

/**
 * A number in LEB128: seven bits a byte, the lowest first.
 * @param {number} n
 * @returns {Code}
 */
function leb(n) {
  return n < 128 ? [n] : [(n & 127) | 128, ...leb(n >> 7)];
}

/**
 * @param {number} id
 * @param {Code[]} entries
 */
function section(id, entries) {
  const content = [...leb(entries.length), ...entries.flat()];
  return [id, ...leb(content.length), ...content];
}

/** @param {string} text */
function name(text) {
  return [text.length, ...new TextEncoder().encode(text)];
}

const [I32, V128, NOTHING] = [0x7f, 0x7b, 0x40];
const END = 0x0b;

/** @param {number} local */
const get = (local) => [0x20, ...leb(local)];
/** @type {(local: number, value: Code) => Code} */
const set = (local, value) => [...value, 0x21, ...leb(local)];
/** @param {number} n Less than 64, so that its sign bit is free. */
const constant = (n) => [0x41, n];
/** @type {(x: Code, y: Code) => Code} */
const add = (x, y) => [...x, ...y, 0x6a];
/** @type {(x: Code, y: Code) => Code} */
const subtract = (x, y) => [...x, ...y, 0x6b];
/** @type {(x: Code, y: Code) => Code} */
const times = (x, y) => [...x, ...y, 0x6c];
/** @type {(x: Code, y: Code) => Code} */
const notLess = (x, y) => [...x, ...y, 0x4e];
/** @type {(condition: Code, then: Code, otherwise?: Code) => Code} */
const choose = (condition, then, otherwise = []) => [
  ...[...condition, 0x04, NOTHING, ...then],
  ...(otherwise.length ? [0x05, ...otherwise] : []),
  END,
];
/** @type {(condition: Code, body: Code) => Code} */
const repeatWhile = (condition, body) => [
  ...[0x02, NOTHING, 0x03, NOTHING], // a block, to be left, and in it a loop, to be repeated
  ...[...condition, 0x45, 0x0d, 1], // left unless the condition holds
  ...[...body, 0x0c, 0],
  ...[END, END],
];

// Four numbers at once. An address is a local and a number of bytes behind it.

/** @type {(local: number, behind?: number) => Code} */
const load = (local, behind = 0) => [...get(local), 0xfd, 0, 2, behind];
/** @param {number} local One number, four times. */
const loadSplat = (local) => [...get(local), 0xfd, 9, 2, 0];
/** @type {(local: number, behind: number, value: Code) => Code} */
const store = (local, behind, value) => [...get(local), ...value, 0xfd, 11, 2, behind];
/** @type {(local: number, behind: number, value: Code) => Code} Of four numbers, the first two. */
const storeHalf = (local, behind, value) => [...get(local), ...value, 0xfd, 91, 2, behind, 0];
/** @type {(x: Code, y: Code) => Code} */
const addFour = (x, y) => [...x, ...y, 0xfd, ...leb(228)];
/** @type {(x: Code, y: Code) => Code} */
const timesFour = (x, y) => [...x, ...y, 0xfd, ...leb(230)];

// --- The function --------------------------------------------------------------------------------

const ROWS = 4;

// The arguments: sizes, then addresses and distances in bytes. A moves by `aRow` and `aColumn`.
const [m, n, k, a, aRow, aColumn, b, c] = Array(8).keys();
// Other locals: integers first, then those of four numbers.
const [i, j, width, line, p, atB, ...pointers] = Array.from(
  { length: 6 + 2 * ROWS },
  (_, at) => 8 + at,
);
const atA = pointers.slice(0, ROWS);
const atC = pointers.slice(ROWS);
const INTEGERS = 6 + 2 * ROWS;
const VECTORS = 2 * ROWS + 2;
const [rowOfB, ...block] = Array.from({ length: VECTORS }, (_, at) => 8 + INTEGERS + at);
const rowOfB2 = /** @type {number} */ (block.pop());

/**
 * One block of C.
 * @param {number} rows
 * @param {number} vectors How many times four columns.
 * @returns {Code}
 */
function blockOf(rows, vectors) {
  const ofB = [rowOfB, rowOfB2].slice(0, vectors);
  const all = Array.from({ length: rows }, (_, r) => ofB.map((_, v) => ({ r, v }))).flat();
  const sum = (/** @type {{r: number, v: number}} */ { r, v }) => block[2 * r + v];
  const write = (/** @type {boolean} */ half) =>
    all.flatMap((at) => {
      const last = half && at.v === vectors - 1;
      return (last ? storeHalf : store)(atC[at.r], 16 * at.v, get(sum(at)));
    });
  const rowsAt = (
    /** @type {number[]} */ at,
    /** @type {Code} */ first,
    /** @type {Code} */ step,
  ) => at.slice(0, rows).flatMap((local, r) => set(local, r ? add(get(at[r - 1]), step) : first));
  return [
    ...rowsAt(atA, add(get(a), times(get(i), get(aRow))), get(aRow)),
    ...set(atB, add(get(b), times(get(j), constant(4)))),
    ...rowsAt(
      atC,
      add(add(get(c), times(get(i), get(line))), times(get(j), constant(4))),
      get(line),
    ),
    ...all.flatMap((at) => set(sum(at), load(atC[at.r], 16 * at.v))),
    ...set(p, get(k)),
    ...repeatWhile(get(p), [
      ...ofB.flatMap((local, v) => set(local, load(atB, 16 * v))),
      ...all.flatMap((at) =>
        set(sum(at), addFour(get(sum(at)), timesFour(loadSplat(atA[at.r]), get(ofB[at.v]))))
      ),
      ...atA.slice(0, rows).flatMap((local) => set(local, add(get(local), get(aColumn)))),
      ...set(atB, add(get(atB), get(line))),
      ...set(p, subtract(get(p), constant(1))),
    ]),
    ...choose([...get(width), ...constant(4), 0x70], write(true), write(false)), // width % 4
  ];
}

/**
 * All rows, for columns from j on.
 * @param {number} vectors
 * @returns {Code}
 */
function allRows(vectors) {
  const blocks = (/** @type {number} */ rows) =>
    repeatWhile(notLess(get(m), add(get(i), constant(rows))), [
      ...blockOf(rows, vectors),
      ...set(i, add(get(i), constant(rows))),
    ]);
  return [...set(i, constant(0)), ...blocks(ROWS), ...blocks(1)];
}

function body() {
  const code = [
    ...set(line, times(get(n), constant(4))), // from a row of B or C to the next
    ...set(j, constant(0)),
    ...repeatWhile(subtract(get(n), get(j)), [
      ...set(width, subtract(get(n), get(j))),
      ...choose(notLess(get(width), constant(8)), set(width, constant(8))),
      ...choose(notLess(get(width), constant(5)), allRows(2), allRows(1)),
      ...set(j, add(get(j), get(width))),
    ]),
  ];
  const locals = [2, ...leb(INTEGERS), I32, ...leb(VECTORS), V128];
  const all = [...locals, ...code, END];
  return [...leb(all.length), ...all];
}

/** A module that imports a memory and exports `multiply`. */
export function assemble() {
  return new Uint8Array([
    ...[0, ...new TextEncoder().encode("asm"), 1, 0, 0, 0],
    ...section(1, [[0x60, 8, ...Array(8).fill(I32), 0]]),
    ...section(2, [[...name("numbers"), ...name("memory"), 2, 0, 1]]),
    ...section(3, [[0]]),
    ...section(7, [[...name("multiply"), 0, 0]]),
    ...section(10, [body()]),
  ]);
}
