// Opt-in handling of signals. They reach the main thread only, so it is there that outputs are told. However many
// outputs there are, the process has one listener for each signal.
import type { EventEmitter } from 'node:events'
import { constants } from 'node:os'
import { argumentError } from '../base/bytes.ts'
import { LogboomError } from '../base/errors.ts'
import { givenOptions, optionError, readOptions } from '../base/options.ts'
import { describeUnknownOption } from '../base/unknown-option.ts'

export interface SignalOptions {
  /** Write everything out on these signals, then let them do what they do by default. */
  flushOnSignal?: NodeJS.Signals | NodeJS.Signals[]
  /** Open the file anew on this signal, as logrotate and newsyslog expect. */
  reopenOnSignal?: NodeJS.Signals
}

/** A sink, a winston transport of this package, or the stream that `pino.transport()` returns. */
export interface SignalTarget extends EventEmitter {
  flushSync(): void
  reopen?(): unknown
  end?(): unknown
}

/** One call of `handleSignals`. */
interface Client {
  readonly target: SignalTarget
}

/** Everybody who waits for one signal. */
interface Watch {
  readonly listener: () => void
  readonly flush: Set<Client>
  readonly reopen: Set<Client>
}

/** Who speaks in messages. */
const KIND = 'handleSignals'

/** What does not end a process by default. */
const HARMLESS = new Set(['SIGCHLD', 'SIGCONT', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGURG', 'SIGWINCH'])

const watches = new Map<NodeJS.Signals, Watch>()

/** On our listeners, also on those of another copy of this package: any other means that the application decides. */
const OWN = Symbol.for('logboom.signal-listener')

/**
 * Handles `flushOnSignal` and `reopenOnSignal` for `target`. After flushing, a signal nobody else listens to ends
 * the process as it would have without a handler; process 1 of a container, which it would not, with 128 + its number. Returns a function that undoes it. Throws `ERR_OPTION`.
 */
export function handleSignals(target: SignalTarget, options: SignalOptions): () => void {
  const { flushed, reopenOnSignal } = readSignals(options)
  requireTarget(target, reopenOnSignal !== undefined)
  const client: Client = { target }
  const leave: (() => void)[] = []
  const undo = (): void => {
    for (const each of leave.splice(0)) each()
  }
  try {
    for (const signal of flushed) {
      leave.push(join(client, signal, 'flush'))
    }
    if (reopenOnSignal !== undefined) leave.push(join(client, reopenOnSignal, 'reopen'))
  } catch (error) {
    undo()
    throw error
  }
  return undo
}

function readSignals(options: SignalOptions): {
  flushed: readonly NodeJS.Signals[]
  reopenOnSignal: NodeJS.Signals | undefined
} {
  const { flushOnSignal = [], reopenOnSignal, ...others }: SignalOptions = givenOptions(KIND, options)
  for (const [name, value] of Object.entries(others)) {
    const message = describeUnknownOption({ name, value, known: ['flushOnSignal', 'reopenOnSignal'] })
    throw new LogboomError('ERR_OPTION', `${KIND}: ${message}`)
  }
  return { flushed: readOptions(KIND, () => [flushOnSignal].flat()), reopenOnSignal }
}

/** A signal is too late to learn that there is nothing that could be told of it. */
function requireTarget(target: Partial<SignalTarget> | null | undefined, reopens: boolean): void {
  const canFlush = typeof target?.flushSync === 'function'
  const canReopen = typeof target?.reopen === 'function' || typeof target?.emit === 'function'
  if (canFlush && (canReopen || !reopens)) return
  throw argumentError(KIND, 'a sink, a transport or the stream of pino.transport()', target)
}

function join(client: Client, signal: NodeJS.Signals, list: 'flush' | 'reopen'): () => void {
  const watch = watches.get(signal) ?? startWatch(signal)
  watch[list].add(client)
  return () => {
    watch[list].delete(client)
    if (watch.flush.size + watch.reopen.size === 0) endWatch(signal, watch)
  }
}

function startWatch(signal: NodeJS.Signals): Watch {
  // Any other name would be taken for that of an ordinary event.
  if (typeof signal !== 'string' || !Object.hasOwn(constants.signals, signal)) throw notCatchable(signal)
  const listener = Object.assign(() => onSignal(signal, watch), { [OWN]: true })
  const watch: Watch = { listener, flush: new Set(), reopen: new Set() }
  try {
    process.on(signal, listener)
  } catch {
    throw notCatchable(signal)
  }
  watches.set(signal, watch)
  return watch
}

function notCatchable(signal: unknown): LogboomError {
  return optionError(
    'signals',
    'flushOnSignal or reopenOnSignal',
    'must name a signal that can be caught',
    signal
  )
}

function endWatch(signal: NodeJS.Signals, watch: Watch): void {
  process.off(signal, watch.listener)
  if (watches.get(signal) === watch) watches.delete(signal)
}

function onSignal(signal: NodeJS.Signals, watch: Watch): void {
  const flushed = [...watch.flush]
  for (const { target } of flushed) flush(target)
  for (const { target } of [...watch.reopen]) reopen(target)
  if (watch.reopen.size > 0 || process.listeners(signal).some((each) => !(OWN in each))) return
  endWatch(signal, watch)
  // pino's stream: what the outputs of `targets` hold in its worker is written only when it ends.
  for (const { target } of flushed) if (target.reopen === undefined) target.end?.()
  // Another copy of this package has still to flush, and passes the signal on.
  if (process.listenerCount(signal) > 0) return
  process.kill(process.pid, signal)
  // Of process 1, which an application is in a container, the kernel ignores what nobody listens to.
  if (process.pid === 1 && !HARMLESS.has(signal)) process.exit(128 + constants.signals[signal])
}

function flush(target: SignalTarget): void {
  try {
    target.flushSync()
  } catch {
    // The sink has said so on stderr, and the process is to end all the same.
  }
}

function reopen(target: SignalTarget): void {
  if (target.reopen !== undefined) void target.reopen()
  else target.emit('message', { type: 'reopen' })
}
