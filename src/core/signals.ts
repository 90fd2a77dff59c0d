// Opt-in handling of signals. They reach the main thread only, so it is there that outputs are told.
import type { EventEmitter } from 'node:events'
import { optionError } from '../base/options.ts'

export interface SignalOptions {
  /** Write everything out on these signals, then let them do what they do by default. */
  flushOnSignal?: NodeJS.Signals | NodeJS.Signals[]
  /** Open the file anew on this signal, as logrotate and newsyslog expect. */
  reopenOnSignal?: NodeJS.Signals
}

/** A sink, a winston transport of this package, or the stream that `pino.transport()` returns. */
export interface SignalTarget extends EventEmitter {
  flushSync(): void
  reopen?(): void
  end?(): unknown
}

/** Ours, of all targets: another listener means that the application itself decides whether it ends. */
const ownHandlers = new Set<unknown>()

/**
 * Handles `flushOnSignal` and `reopenOnSignal` for `target`. After flushing, a signal nobody else listens to ends
 * the process as it would have without a handler. Returns a function that removes the handlers.
 */
export function handleSignals(target: SignalTarget, options: SignalOptions): () => void {
  const handlers: [NodeJS.Signals, () => void][] = []
  const { flushOnSignal = [], reopenOnSignal } = options
  for (const signal of Array.isArray(flushOnSignal) ? flushOnSignal : [flushOnSignal]) {
    handlers.push([signal, () => flushAndPassOn(target, signal, remove)])
  }
  if (reopenOnSignal !== undefined) handlers.push([reopenOnSignal, () => reopen(target)])
  const remove = (): void => {
    for (const [signal, handler] of handlers) {
      process.off(signal, handler)
      ownHandlers.delete(handler)
    }
  }
  for (const [signal, handler] of handlers) listen(signal, handler)
  return remove
}

function listen(signal: NodeJS.Signals, handler: () => void): void {
  try {
    process.on(signal, handler)
    ownHandlers.add(handler)
  } catch {
    throw optionError(
      'signals',
      'flushOnSignal or reopenOnSignal',
      'must name a signal that can be caught',
      signal
    )
  }
}

function flushAndPassOn(target: SignalTarget, signal: NodeJS.Signals, remove: () => void): void {
  try {
    target.flushSync()
  } catch {
    // The sink has said so on stderr, and the process is to end all the same.
  }
  if (process.listeners(signal).some((listener) => !ownHandlers.has(listener))) return
  remove()
  // pino's stream: what the outputs of `targets` hold in its worker is written only when it ends.
  if (target.reopen === undefined) target.end?.()
  // The last target passes the signal on.
  if (process.listenerCount(signal) > 0) return
  process.kill(process.pid, signal)
}

function reopen(target: SignalTarget): void {
  if (target.reopen !== undefined) target.reopen()
  else target.emit('message', { type: 'reopen' })
}
