// Loaded before a process begins (NODE_OPTIONS): a wall clock that jumps to and fro between the two sides of the hour in
// which Europe/Berlin is set back, and to other years.
const Real = Date
const from = Real.parse('2026-10-25T00:59:58Z')
const starts = [
  from,
  from + 3_600_000,
  from - 86_400_000,
  Real.parse('1971-01-01'),
  Real.parse('2037-03-28T23:59:59Z')
]
const JUMP_MS = 37
let start = starts[0]
let since = performance.now()

function now() {
  const elapsedMs = performance.now() - since
  if (elapsedMs > JUMP_MS) {
    start = starts[Math.floor(performance.now() / JUMP_MS) % starts.length]
    since = performance.now()
  }
  return Math.floor(start + elapsedMs)
}

globalThis.Date = class extends Real {
  constructor(...args) {
    if (args.length === 0) super(now())
    else super(...args)
  }

  static now() {
    return now()
  }
}
