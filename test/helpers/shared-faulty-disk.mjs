// A file system that fails on demand, also in another thread: what is to fail, and how often each operation was
// called, is in shared memory. Plain ECMAScript, because the thread that writes direct files imports it, too.
import { realDisk } from '../../dist/io/disk.js'

/** All operations of a disk; the place of one in this list is that of its rule. */
export const operations = Object.keys(realDisk)
/** What can go wrong. `SHORT`: a write takes only half. `SLOW`: the call takes `SLOW_MS`. */
export const faults = [
  'EIO',
  'ENOSPC',
  'EMFILE',
  'EACCES',
  'EINTR',
  'EINVAL',
  'EROFS',
  'ENOLCK',
  'SHORT',
  'SLOW'
]
/** Longer than anything that gives up too early. */
export const SLOW_MS = 1_700

/** The words of a rule: calls so far; the first call that fails and the first that does not any more; how it fails. */
const WORDS = 4
const CALLS = 0
const FROM = 1
const TO = 2
const FAULT = 3

/** Memory for the rules of a disk; nothing fails at first. */
export function createState() {
  return new SharedArrayBuffer(operations.length * WORDS * 4)
}

/** The disk that follows the rules in `data.state`; also what a thread makes its disk with. */
export function createDisk(realDisk, data) {
  const words = new Int32Array(data.state)
  return Object.fromEntries(
    operations.map((operation, index) => [
      operation,
      wrap(realDisk[operation], words, operation, index * WORDS)
    ])
  )
}

/** Lets the calls of `operation` from number `from` on, before number `to`, fail; counts anew from 1. */
export function setRule(state, operation, fault, from, to) {
  const words = new Int32Array(state)
  const at = operations.indexOf(operation) * WORDS
  const kind = faults.indexOf(fault) + 1
  if (at < 0 || kind < 1) throw new Error(`no such fault: ${operation} ${fault}`)
  Atomics.store(words, at + FAULT, 0)
  Atomics.store(words, at + CALLS, 0)
  Atomics.store(words, at + FROM, from)
  Atomics.store(words, at + TO, to)
  Atomics.store(words, at + FAULT, kind)
}

/** Nothing fails any more. */
export function clearRules(state) {
  const words = new Int32Array(state)
  for (let at = 0; at < words.length; at += WORDS) Atomics.store(words, at + FAULT, 0)
}

/** How often `operation` was called since its rule was set. */
export function callsOf(state, operation) {
  return Atomics.load(new Int32Array(state), operations.indexOf(operation) * WORDS + CALLS)
}

function wrap(real, words, operation, at) {
  return (...args) => {
    const call = Atomics.add(words, at + CALLS, 1) + 1
    const kind = Atomics.load(words, at + FAULT)
    if (kind === 0 || call < Atomics.load(words, at + FROM) || call >= Atomics.load(words, at + TO)) {
      return real(...args)
    }
    return fail(operation, faults[kind - 1], real, args)
  }
}

function fail(operation, fault, real, args) {
  if (fault === 'SLOW') {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_MS)
    return real(...args)
  }
  if (fault === 'SHORT') return real(...shortened(operation, args))
  // The kernel frees the descriptor whatever it answers, and a lock goes with it.
  if (operation === 'close' || operation === 'unlock') real(...args)
  if (operation === 'preallocate') return false
  const error = Object.assign(new Error(`${fault}: injected, ${operation}`), {
    code: fault,
    syscall: operation
  })
  if (operation.endsWith('Async')) return Promise.reject(error)
  throw error
}

/** The arguments of a write that takes half of its bytes. */
function shortened(operation, args) {
  if (operation === 'writev') {
    const length = args[1].reduce((sum, { length }) => sum + length, 0)
    return args.with(1, [Buffer.concat(args[1]).subarray(0, Math.ceil(length / 2))])
  }
  return args.with(3, Math.ceil(args[3] / 2))
}
