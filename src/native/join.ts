// The portable twin of framing_join_records (framing.c): records put one behind the other.

const NEWLINE = 10
const LENGTH_BYTES = 4

/** What stands around each: nothing, a line end behind it, a line end unless it has one, its length before it (u32 BE). */
export const joinForm = { plain: 0, lines: 1, unended: 2, lengths: 3 } as const

export type JoinForm = (typeof joinForm)[keyof typeof joinForm]

export function joinRecords(
  source: Uint8Array,
  bounds: Int32Array,
  target: Uint8Array,
  form: JoinForm,
  state: Uint32Array
): void {
  const count = bounds.length >> 1
  const before = form === joinForm.lengths ? LENGTH_BYTES : 0
  let [next, at] = state
  if (at > target.length) throw new RangeError('records cannot be joined so')
  for (; next < count; next++) {
    const start = bounds[2 * next]
    const stop = bounds[2 * next + 1]
    if (start < 0 || stop < start || stop > source.length) throw new RangeError('a record outside the array')
    const length = stop - start
    const isUnended = form === joinForm.unended && (length === 0 || source[stop - 1] !== NEWLINE)
    const after = form === joinForm.lines || isUnended ? 1 : 0
    if (before + length + after > target.length - at) break
    if (before > 0) putLength(target, at, length)
    target.set(source.subarray(start, stop), at + before)
    at += before + length + after
    if (after > 0) target[at - 1] = NEWLINE
  }
  state[0] = next
  state[1] = at
}

function putLength(target: Uint8Array, at: number, length: number): void {
  target[at] = length >>> 24
  target[at + 1] = length >>> 16
  target[at + 2] = length >>> 8
  target[at + 3] = length
}
