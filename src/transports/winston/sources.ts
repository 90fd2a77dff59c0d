// The loggers that are piped into a transport. winston-transport knows the first one only, and closes with that; a
// transport of this package lives as long as one of them is left, and a pipe's own ideas of its end do not apply.
import type { EventEmitter } from 'node:events'

/** What is used of a logger, or of any other stream of records. */
export interface Source extends EventEmitter {
  levels?: Record<string, number>
  level?: string
  exitOnError?: unknown
  /** Those of a logger, this one among them. */
  transports?: readonly { name?: unknown }[]
  unpipe(target: EventEmitter): unknown
  /** Emits 'data' as well, so that all that are piped get what is read. */
  read?(): unknown
  readonly _readableState?: { readonly length: number; readonly ended: boolean; awaitDrain?: unknown }
  readonly _writableState?: { readonly length: number; readonly ending: boolean }
  /** winston's way to hear of a transport's 'error' and 'warn'. */
  _onEvent?(event: string, target: EventEmitter): void
}

/** The transport, with what winston leaves on it. */
export interface SourceTarget extends EventEmitter {
  parent?: Source | null
  levels?: Record<string, number>
  [listener: `__winston${string}`]: ((error: Error) => void) | undefined
}

/** By these a pipe lets go of its target; but a transport here may go on, or come again. With where it puts them. */
const PIPE_LISTENERS = [
  { event: 'error', name: 'onerror', at: 0 },
  { event: 'close', name: 'onclose', at: -1 },
  { event: 'finish', name: 'onfinish', at: -1 }
] as const
/** What winston tells one logger of only: the first the transport was ever given to. */
const TOLD_EVENTS = ['error', 'warn']

export class Sources {
  readonly #target: SourceTarget
  readonly #added: (source: Source) => void
  readonly #emptied: () => void
  readonly #piped: Source[] = []
  /** The logger that hears of trouble. */
  #listening: Source | undefined
  readonly #finished: (this: Source) => void

  /** Takes the place of what winston-transport does at 'pipe' and 'unpipe'. */
  constructor(target: SourceTarget, added: (source: Source) => void, emptied: () => void) {
    this.#target = target
    this.#added = added
    this.#emptied = emptied
    this.#finished = function () {
      this.unpipe(target)
    }
    target.removeAllListeners('pipe')
    target.removeAllListeners('unpipe')
    // A transport may be in any number of loggers, each with five listeners.
    target.setMaxListeners(0)
    target.on('pipe', (source: Source) => this.#add(source))
    target.on('unpipe', (source: Source) => this.#remove(source))
  }

  get count(): number {
    return this.#piped.length
  }

  /** Some are ending, and others are not. */
  get someStay(): boolean {
    return this.someEnd && !this.#piped.every(isEnding)
  }

  get someEnd(): boolean {
    return this.#piped.some(isEnding)
  }

  /** Lets go of those that have ended. Loggers let go when they have finished, for which they wait for the transport. */
  dismiss(): void {
    for (const source of this.#piped.filter(isEnding)) {
      if (source._writableState === undefined) source.unpipe(this.#target)
    }
  }

  /** Whether loggers hold records because one of their transports has no room. */
  get holdRecords(): boolean {
    return this.#piped.some(
      ({ transports, _readableState }) => transports && (_readableState?.length ?? 0) > 0
    )
  }

  /** Has loggers pass on what they hold because one of their transports had no room. */
  handOver(): void {
    for (const source of this.#piped) handOver(source)
  }

  #add(source: Source): void {
    const target = this.#target
    for (const { event, name, at } of PIPE_LISTENERS) {
      const listener = target.listeners(event).at(at)
      if (listener?.name === name) target.off(event, listener as () => void)
    }
    this.#piped.push(source)
    source.on('finish', this.#finished)
    allowListeners(source, 1)
    if (target.parent === undefined || target.parent === null) this.#setParent(source)
    if (this.#listening === undefined) this.#listening = source
    else if (!this.#piped.includes(this.#listening)) this.#listenAs(source)
    this.#added(source)
  }

  #remove(source: Source): void {
    const at = this.#piped.findIndex((each) => isSame(each, source))
    if (at === -1) return
    // Still in time: this listener is the first, and behind it are those that take the pipe apart.
    handOver(this.#piped[at])
    const [removed] = this.#piped.splice(at, 1)
    removed.off('finish', this.#finished)
    allowListeners(removed, -1)
    // A child logger shares the pipes of its parent, but a pipe ends only for who has begun it.
    if (removed !== source) this.#target.emit('unpipe', removed, { hasUnpiped: false })
    if (this.#target.parent === removed && !this.#piped.includes(removed)) {
      this.#setParent(this.#piped[0])
      if (this.#piped.length > 0) this.#listenAs(this.#piped[0])
    }
    if (this.#piped.length === 0) this.#emptied()
  }

  /** Its level holds where the transport has none, and its levels give the order. */
  #setParent(source: Source | undefined): void {
    this.#target.parent = source ?? null
    if (source !== undefined) this.#target.levels = source.levels
  }

  #listenAs(source: Source): void {
    const target = this.#target
    this.#listening = source
    if (typeof source._onEvent !== 'function') return
    for (const event of TOLD_EVENTS) {
      const listener = target[`__winston${event}`]
      if (listener !== undefined) target.off(event, listener)
      target[`__winston${event}`] = undefined
      source._onEvent(event, target)
    }
  }
}

/** A logger and its children are one stream. */
function isSame(one: Source, other: Source): boolean {
  return one === other || (one._readableState !== undefined && one._readableState === other._readableState)
}

function isEnding({ _writableState, _readableState }: Source): boolean {
  return _writableState?.ending === true || _readableState?.ended === true
}

/**
 * A logger stops while one of its transports has no room, and what is logged then waits within it, also for the others.
 * Where it would wait in vain it goes to all of them at once.
 */
function handOver(source: Source): void {
  const { _readableState: readable, _writableState: writable } = source
  if (source.transports === undefined || source.read === undefined || readable === undefined) return
  // Each transport without room is waited for once, but counted once for each record.
  const { awaitDrain } = readable
  for (let left = readable.length + (writable?.length ?? 0); left > 0; left--) {
    if (source.read() === null) break
  }
  if (typeof awaitDrain === 'number') readable.awaitDrain = awaitDrain
}

/** Each pipe puts listeners on its source, too, of which eleven are taken for a leak. */
function allowListeners(source: Source, more: number): void {
  const max = source.getMaxListeners()
  if (max > 0 && max + more > 0) source.setMaxListeners(max + more)
}
