// Loaded by the thread of a flusher: a disk that fails as the test says in memory that both share (thread-faults.ts).
const ARMED = 0
const NTH = 1
const PERSISTENT = 2
const FAULT = 3
const HITS = 4
const CALLS = 5

const SLOW_MS = 200

export function createDisk(realDisk, { words, operations, faults, match }) {
  const pathOf = new Map()
  const isMeant = (args) => {
    if (match === undefined) return true
    const path = typeof args[0] === 'number' ? pathOf.get(args[0]) : args[0]
    return String(path).includes(match)
  }
  const act = (fault, operation, run, args) => {
    Atomics.add(words, HITS, 1)
    // The thread ends in the middle of the call, before or behind what it does.
    if (fault === 'EXIT') process.exit(1)
    if (fault === 'EXIT-AFTER') {
      run(...args)
      process.exit(1)
    }
    if (fault === 'HANG') {
      while (Atomics.load(words, ARMED) !== -1) Atomics.wait(words, ARMED, Atomics.load(words, ARMED), 50)
      return run(...args)
    }
    if (fault === 'SLOW') {
      Atomics.wait(words, HITS, Atomics.load(words, HITS), SLOW_MS)
      return run(...args)
    }
    throw Object.assign(new Error(`${fault}: injected, ${operation}`), { code: fault })
  }
  return Object.fromEntries(
    operations.map((operation, index) => {
      const run = realDisk[operation]
      return [
        operation,
        (...args) => {
          const armed = Atomics.load(words, ARMED)
          if ((armed === index || armed === operations.length) && isMeant(args)) {
            const call = Atomics.add(words, CALLS + index, 1) + 1
            const nth = Atomics.load(words, NTH)
            const isHit = Atomics.load(words, PERSISTENT) === 1 ? call >= nth : call === nth
            if (isHit) return act(faults[Atomics.load(words, FAULT)], operation, run, args)
          }
          const result = run(...args)
          if (operation === 'open') pathOf.set(result, args[0])
          return result
        }
      ]
    })
  )
}
