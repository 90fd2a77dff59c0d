// A disk of a process that dies after a number of calls: from then on nothing of what it does has any effect, while the
// kernel still lets go of what it holds. What is to happen lies in shared memory, so that threads follow it, too. It also
// notes how much of each file is durable, for a power cut in place of the death.

const LEFT = 0
const DEAD = 1
const HALF = 2
const FILES = 4
const MAX_FILES = 10_000

const NEVER = 2 ** 30
/** What changes the disk, or makes a change durable. */
const changing = [
  'open',
  'openAsync',
  'write',
  'writeSynced',
  'writev',
  'writevHashed',
  'writeAsync',
  'truncate',
  'preallocate',
  'chmod',
  'chmodPath',
  'setTime',
  'fsync',
  'fdatasync',
  'fsyncAsync',
  'fdatasyncAsync',
  'renameNoReplace',
  'publishFile',
  'rename',
  'fallocate',
  'unlink',
  'mkdir',
  'rmdir'
]
const syncs = ['fsync', 'fdatasync', 'fsyncAsync', 'fdatasyncAsync']

/** Memory for one such disk. */
export function createState() {
  const words = new Int32Array(new SharedArrayBuffer((FILES + 2 * MAX_FILES) * 4))
  words[LEFT] = NEVER
  return words.buffer
}

/** The process dies in the `calls`th call from now on; with `isHalf` a write is half done then. */
export function dieAfter(state, calls, isHalf) {
  const words = new Int32Array(state)
  Atomics.store(words, HALF, isHalf ? 1 : 0)
  Atomics.store(words, LEFT, calls)
}

export function isDead(state) {
  return Atomics.load(new Int32Array(state), DEAD) === 1
}

/** The numbers (inodes) of files, with how many of their bytes are durable. */
export function durableBytes(state) {
  const words = new Int32Array(state)
  const found = new Map()
  for (let at = FILES; at < words.length && words[at] !== 0; at += 2)
    found.set(words[at] >>> 0, words[at + 1])
  return found
}

/** The disk that follows `data.state`; also what a thread makes its disk with. */
export function createDisk(realDisk, data) {
  const words = new Int32Array(data.state)
  const wrapped = changing.map((operation) => [operation, wrap(realDisk, operation, words)])
  return { ...realDisk, ...Object.fromEntries(wrapped) }
}

function wrap(realDisk, operation, words) {
  const real = realDisk[operation]
  return (...args) => {
    if (Atomics.load(words, DEAD) === 1) return fail(operation)
    if (Atomics.load(words, LEFT) < NEVER && Atomics.sub(words, LEFT, 1) <= 1) {
      Atomics.store(words, DEAD, 1)
      if (Atomics.load(words, HALF) === 1) half(realDisk, operation, args)
      return fail(operation)
    }
    if (operation === 'writeSynced') return writeSynced(realDisk, words, args)
    if (!syncs.includes(operation)) return real(...args)
    const { ino, size, isFile } = realDisk.fstat(args[0])
    const note = (result) => {
      if (isFile) noteDurable(words, Number(ino & 0xffffffffn) | 0, size)
      return result
    }
    const result = real(...args)
    return result instanceof Promise ? result.then(note) : note(result)
  }
}

/** Makes durable what it writes, and nothing before that. */
function writeSynced(realDisk, words, args) {
  const position = args[4]
  const written = realDisk.writeSynced(...args)
  const at = placeOf(words, Number(realDisk.fstat(args[0]).ino & 0xffffffffn) | 0)
  if (Atomics.load(words, at + 1) === position) Atomics.store(words, at + 1, position + written)
  return written
}

function noteDurable(words, number, size) {
  Atomics.store(words, placeOf(words, number) + 1, size)
}

function placeOf(words, number) {
  for (let at = FILES; at < words.length; at += 2) {
    const held = Atomics.compareExchange(words, at, 0, number)
    if (held === 0 || held === number) return at
  }
  throw new Error(`more than ${MAX_FILES} files`)
}

/** A write of which the kernel had copied half when the signal came. */
function half(realDisk, operation, args) {
  const [fd, bytes] = args
  if (operation === 'write' || operation === 'writeAsync' || operation === 'writeSynced') {
    realDisk.write(fd, bytes, args[2], Math.ceil(args[3] / 2), args[4])
  } else if (operation === 'writev') {
    const all = Buffer.concat(bytes)
    realDisk.write(fd, all, 0, Math.ceil(all.length / 2), args[2])
  }
}

function fail(operation) {
  if (operation === 'preallocate') return false
  const error = Object.assign(new Error(`EIO: dead, ${operation}`), { code: 'EIO' })
  if (operation.endsWith('Async')) return Promise.reject(error)
  throw error
}
