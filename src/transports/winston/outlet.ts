// The worker of a transport, which may end and come again: opened at the start or with the first record, ended when the
// last logger lets go of the transport, opened anew when one takes it up. One worker at a time, so that the records of
// the next come behind those of the last.
import { EventEmitter } from 'node:events'
import { assert } from '../../base/assert.ts'
import { LogboomError } from '../../base/errors.ts'
import { resumed } from '../../core/shared-file/start-options.ts'
import { addExitHandler, removeExitHandler } from '../../core/sink/at-exit.ts'
import {
  createCounters,
  forwardedEvents,
  type RotatedEvent,
  type SinkStats
} from '../../core/sink/contract.ts'
import { WorkerLink, type WorkerLinkOptions } from '../worker-link.ts'
import { rotateFile } from './requests.ts'

/**
 * `idle`: opens with the first record. `closing`: the worker writes the rest. `reopening`: the same, and a new one is
 * wanted afterwards; records wait. `failed`: the path was refused.
 */
type State = 'idle' | 'open' | 'closing' | 'reopening' | 'closed' | 'failed'

const FOLLOWING: Readonly<Record<State, readonly State[]>> = {
  idle: ['open', 'closed'],
  open: ['closing', 'failed'],
  closing: ['reopening', 'open', 'closed', 'failed'],
  reopening: ['closing', 'open', 'idle', 'failed'],
  closed: ['idle', 'open'],
  failed: ['idle', 'open', 'closed']
}

export interface OutletOptions extends WorkerLinkOptions {
  readonly lazy: boolean
}

/** Emits what the worker's link emits: events of the sink, 'sent', 'exiting', 'failed'. */
export class Outlet extends EventEmitter {
  readonly #options: OutletOptions
  #state: State = 'closed'
  #link: WorkerLink | undefined
  /** Settles when the worker that is ending has ended. */
  #ended: Promise<void> = Promise.resolve()
  /** What came while one worker was ending and the next was wanted. */
  #held: string[] = []
  #heldLength = 0
  /** There was a worker before. */
  #hasStarted = false
  /** Writing fails at the moment. */
  #isDegraded = false
  readonly #atExit = { exitNow: (): void => this.#writeHeld() }

  constructor(options: OutletOptions) {
    super()
    // Any number of queries may wait at the same time.
    this.setMaxListeners(0)
    this.#options = options
  }

  /** Takes records, unless it has failed. */
  get isOpen(): boolean {
    return this.#state === 'idle' || this.#state === 'open' || this.#state === 'reopening'
  }

  get isClosing(): boolean {
    return this.#state === 'closing'
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get isDegraded(): boolean {
    return this.#isDegraded
  }

  /** Takes records from now on. Idempotent. */
  open(): void {
    if (this.#state === 'closing') {
      this.#become('reopening')
      this.#ended = this.#ended.then(() => {
        if (this.#state === 'reopening') this.#begin()
      })
    } else if (!this.isOpen) this.#begin()
  }

  /** Takes one record with its end, to be called while it is open. False: no more should come before 'sent'. */
  send(record: string): boolean {
    if (this.#state === 'idle') this.#start()
    if (this.#state === 'open') return this.#link!.send(record)
    assert(this.#state === 'reopening')
    // What is to be written when the process exits meanwhile is known to nobody else.
    if (this.#held.length === 0) addExitHandler(this.#atExit)
    this.#held.push(record)
    this.#heldLength += record.length
    return this.#heldLength < this.#options.maxBufferBytes
  }

  /** Resolves when everything sent before has reached the sink's durability. */
  async flush(): Promise<void> {
    if (this.#state === 'idle') return
    // Who closes writes everything, or reports what is lost.
    if (this.#state === 'closing') return this.#ended
    if (this.#state === 'reopening') await this.#ended
    await this.#running().flush()
  }

  /** The same, blocking the thread. */
  flushSync(): void {
    if (this.#state === 'idle') return
    if (this.#state === 'reopening') this.#startNow()
    this.#running().flushSync()
  }

  async rotate(): Promise<RotatedEvent | undefined> {
    if (this.#state === 'idle') return undefined
    if (this.#state === 'reopening') await this.#ended
    return rotateFile(this.#running(), this.#options)
  }

  async reopen(): Promise<void> {
    if (this.#state === 'reopening') await this.#ended
    if (this.#state !== 'idle') await this.#running().request('reopen')
  }

  async stats(): Promise<SinkStats> {
    if (this.#state === 'idle') return { ...createCounters(), queuedBytes: 0, state: 'opening', lane: 'none' }
    if (this.#state === 'reopening') await this.#ended
    return this.#link === undefined ? Promise.reject(this.#gone()) : this.#link.stats()
  }

  /** Writes everything and ends the worker. Idempotent; does not reject: what was lost is reported on stderr. */
  close(): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'failed') this.#become('closed')
    else if (this.#state === 'open') this.#end()
    else if (this.#state === 'reopening') {
      this.#become('closing')
      // The rest has to be written, for which there is no way but by the next worker.
      this.#ended = this.#ended.then(() => this.#afterEnd())
    }
    return this.#ended
  }

  #become(state: State): void {
    assert(FOLLOWING[this.#state].includes(state), `${this.#state} → ${state}`)
    this.#state = state
  }

  #begin(): void {
    if (this.#options.lazy && this.#held.length === 0) this.#become('idle')
    else this.#start()
  }

  #start(): void {
    const { lazy, ...options } = this.#options
    if (this.#hasStarted) options.sinkOptions = resumed(options.sinkOptions)
    this.#hasStarted = true
    const link = new WorkerLink(options)
    this.#link = link
    this.#isDegraded = false
    for (const name of forwardedEvents) link.on(name, (...args) => this.emit(name, ...args))
    link.on('degraded', () => {
      this.#isDegraded = true
    })
    link.on('recovered', () => {
      this.#isDegraded = false
    })
    for (const name of ['sent', 'exiting']) link.on(name, () => this.emit(name))
    link.on('failed', (error) => this.#fail(link, error))
    this.#become('open')
    const held = this.#held.splice(0)
    this.#heldLength = 0
    if (held.length === 0) return
    removeExitHandler(this.#atExit)
    for (const record of held) link.send(record)
    this.emit('sent')
  }

  #end(): void {
    this.#become('closing')
    this.#ended = this.#running()
      .end()
      .then(() => this.#afterEnd())
  }

  async #afterEnd(): Promise<void> {
    if (this.#state !== 'closing') return
    if (this.#held.length === 0) {
      this.#become('closed')
      return
    }
    this.#start()
    this.#end()
    await this.#ended
  }

  #fail(link: WorkerLink, error: Error): void {
    if (link !== this.#link) return
    // While closing, the end of the link, which follows, settles what waits.
    if (this.#state === 'open') this.#become('failed')
    this.emit('failed', error)
  }

  /** Does not wait for the event loop to end the last worker. */
  #startNow(): void {
    this.#running().exitNow()
    this.#start()
  }

  #writeHeld(): void {
    this.#startNow()
    this.#running().exitNow()
  }

  #running(): WorkerLink {
    if (this.#link === undefined || this.#state === 'closed') throw this.#gone()
    return this.#link
  }

  #gone(): LogboomError {
    const { kind, path } = this.#options
    return new LogboomError('ERR_CLOSED', `the ${kind} transport of ${path} is closed`, { path })
  }
}
