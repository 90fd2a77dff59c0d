// The main-thread side of a sink that runs in a worker: collects lines, sends them in batches through a
// thread-stream, keeps what does not fit within a bound, and leaves nothing behind when the process exits.

import { EventEmitter, once } from 'node:events'
import onExit from 'on-exit-leak-free'
import ThreadStream from 'thread-stream'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { cloneableOptions } from '../base/options.ts'
import { builtFile, preferInstalledWorker } from '../base/package-root.ts'
import { sleep } from '../base/sleep.ts'
import type { Kind } from '../core/registry.ts'
import { type DroppedEvent, forwardedEvents, type Overflow, type SinkStats } from '../core/sink/contract.ts'
import { Drops } from '../core/sink/drops.ts'
import { Notice } from '../core/sink/notice.ts'

/** Lines of one turn of the event loop are sent together; this many UTF-16 units are sent at once. */
const BATCH_LENGTH = 64 * 1024
/** After that, closing blocks the thread, because the worker cannot write at the moment. */
const FLUSH_TIMEOUT_MS = 5_000
/** A worker that has not begun to read cannot be ended at once (as in pino's own transports). */
const STARTING_MS = 100

export interface WorkerLinkOptions {
  kind: Kind
  /** Options of the sink, already checked. */
  sinkOptions: object
  path: string
  maxBufferBytes: number
  overflow: Overflow
  fallback: false | 'stderr'
}

/** What the types of thread-stream leave out. */
interface Stream extends EventEmitter {
  readonly destroyed: boolean
  readonly writableNeedDrain: boolean
  write(data: string | Buffer): boolean
  flush(callback: (error?: Error | null) => void): void
  flushSync(): void
  end(): void
  ref(): void
  unref(): void
}

interface Batch {
  bytes: Buffer
  lines: number
}

export class WorkerLink extends EventEmitter {
  readonly #stream: Stream
  readonly #options: WorkerLinkOptions
  readonly #drops: Drops
  /** Records dropped on this side, of which the worker knows nothing. */
  #dropped = 0
  #text = ''
  #lines = 0
  #scheduled = false
  /** What the stream has no room for, oldest first. */
  #waiting: Batch[] = []
  #waitingBytes = 0
  #ready = false
  #holds = 0
  #owesSent = false
  /** The worker cannot write at the moment, so that waiting for it on this thread would stall the application. */
  #degraded = false
  #ended: Promise<void> | undefined
  #dead = false

  constructor(options: WorkerLinkOptions) {
    super()
    this.#options = options
    this.#drops = new Drops((event: DroppedEvent) => this.emit('dropped', event))
    preferInstalledWorker()
    this.#stream = new ThreadStream({
      filename: builtFile(`transports/pino/${options.kind}.js`).href,
      workerData: cloneableOptions(options.sinkOptions),
      workerOpts: { name: `logboom/${options.kind}` }
    }) as unknown as Stream
    for (const name of forwardedEvents)
      this.#stream.on(name, (...args: unknown[]) => this.emit(name, ...args))
    this.#stream.on('degraded', () => {
      this.#degraded = true
    })
    this.#stream.on('recovered', () => {
      this.#degraded = false
    })
    this.#stream.on('drain', () => this.#sendWaiting())
    this.#stream.on('error', (error: Error) => this.#fail(error))
    this.#stream.on('ready', () => {
      this.#ready = true
      // An idle logger does not keep the process alive; what it still holds is written by the exit hook.
      if (this.#holds === 0) this.#stream.unref()
    })
    onExit.register(this, exitNow)
  }

  /** Takes `lines` lines, each with its end. False: more than `maxBufferBytes` wait and nothing may be dropped. */
  send(text: string, lines = 1): boolean {
    this.#text += text
    this.#lines += lines
    if (this.#text.length >= BATCH_LENGTH) this.#sendText()
    else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#sendText()
      })
    }
    if (this.#waitingBytes < this.#options.maxBufferBytes || this.#options.overflow !== 'block') return true
    // A burst within one turn of the event loop. winston ignores that it should wait, and what it buffers itself is
    // out of reach when the process exits; the worker catches up in milliseconds.
    if (!this.#degraded) this.#catchUp()
    return this.#waitingBytes < this.#options.maxBufferBytes
  }

  /** Blocks this thread until no more than `maxBufferBytes` wait. */
  waitForRoom(): void {
    while (!this.#dead && this.#waitingBytes >= this.#options.maxBufferBytes) {
      try {
        this.#stream.flushSync()
        this.flushSync()
      } catch {
        // Ten seconds more, and the worker still cannot write.
      }
    }
  }

  /** Asks the worker for something; see `SinkStream`. */
  request(type: 'rotate' | 'reopen' | 'stats' | 'close'): void {
    if (!this.#dead) this.#stream.emit('message', { type })
  }

  async stats(): Promise<SinkStats> {
    const stats = await this.#answer<SinkStats>('stats', 'stats')
    return { ...stats, dropped: stats.dropped + this.#dropped }
  }

  /** Resolves when all lines sent before have reached the sink's durability. */
  async flush(): Promise<void> {
    this.#sendText()
    if (this.#waiting.length > 0 && !this.#dead) {
      await new Promise<void>((resolve) => this.once('sent', () => resolve()))
    }
    if (this.#dead) throw this.#gone()
    await new Promise<void>((resolve, reject) => {
      this.#stream.flush((error?: Error | null) => (error ? reject(error) : resolve()))
    })
  }

  /** The same, blocking this thread for at most ten seconds. */
  flushSync(): void {
    if (this.#dead) throw this.#gone()
    this.#sendText()
    this.#handOver()
    this.#stream.flushSync()
  }

  #catchUp(): void {
    try {
      this.flushSync()
    } catch {
      this.#degraded = true
    }
  }

  /** Flushes, then ends the worker. Idempotent. Does not reject: what was lost is reported on stderr. */
  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  /** For the exit hook. */
  exitNow(): void {
    if (this.#dead || this.#stream.destroyed) return
    try {
      this.flushSync()
      if (!this.#ready) sleep(STARTING_MS)
      this.#stream.end()
    } catch (error) {
      this.#lost(error)
    }
  }

  async #end(): Promise<void> {
    if (!this.#dead) {
      this.#hold()
      const closed = new Promise((resolve) => this.#stream.once('close', resolve))
      const timer = new AbortController()
      const timeout = new Promise<void>((resolve) => {
        const id = setTimeout(resolve, FLUSH_TIMEOUT_MS)
        timer.signal.addEventListener('abort', () => clearTimeout(id))
      })
      // Closed by a message first, so that ending the stream, which blocks this thread, has nothing to wait for.
      const shutDown = this.flush().then(() => this.#answer('close', 'closed'))
      await Promise.race([shutDown.catch(() => {}), timeout])
      timer.abort()
      try {
        if (!this.#dead) {
          this.#handOver()
          this.#stream.end()
        }
      } catch (error) {
        this.#lost(error)
      }
      await closed
    }
    this.#dead = true
    onExit.unregister(this)
  }

  async #answer<T>(type: 'stats' | 'close', event: string): Promise<T> {
    if (this.#dead) throw this.#gone()
    this.#hold()
    try {
      // Rejects if the worker fails meanwhile.
      const answer = once(this.#stream, event)
      this.request(type)
      return (await answer)[0]
    } finally {
      this.#letGo()
    }
  }

  /** Keeps the process alive while somebody waits for the worker. */
  #hold(): void {
    this.#holds++
    this.#stream.ref()
  }

  #letGo(): void {
    this.#holds--
    if (this.#holds === 0 && this.#ready) this.#stream.unref()
  }

  #sendText(): void {
    if (this.#lines === 0) return
    const batch = { bytes: Buffer.from(this.#text), lines: this.#lines }
    this.#text = ''
    this.#lines = 0
    if (this.#dead) this.#drop(batch)
    else if (this.#waiting.length === 0 && !this.#stream.writableNeedDrain) this.#stream.write(batch.bytes)
    else this.#keep(batch)
  }

  #keep(batch: Batch): void {
    const { maxBufferBytes, overflow } = this.#options
    const over = (): boolean => this.#waitingBytes + batch.bytes.length > maxBufferBytes
    if (overflow === 'drop-newest' && over()) {
      this.#drop(batch)
      return
    }
    if (overflow === 'drop-oldest') {
      while (over()) {
        const oldest = this.#waiting.shift()
        if (oldest === undefined) break
        this.#waitingBytes -= oldest.bytes.length
        this.#drop(oldest)
      }
    }
    this.#waiting.push(batch)
    this.#waitingBytes += batch.bytes.length
    // Callers wait for 'sent', and waiting for the shared memory does not keep a process alive.
    if (!this.#owesSent) this.#hold()
    this.#owesSent = true
  }

  #sent(): void {
    if (this.#owesSent) this.#letGo()
    this.#owesSent = false
    this.emit('sent')
  }

  #drop({ lines, bytes }: Batch): void {
    this.#dropped += lines
    this.#drops.add({ lines, bytes: bytes.length })
  }

  #sendWaiting(): void {
    this.#degraded = false
    while (this.#waiting.length > 0 && !this.#stream.writableNeedDrain) {
      const batch = this.#waiting.shift() as Batch
      this.#waitingBytes -= batch.bytes.length
      this.#stream.write(batch.bytes)
    }
    if (this.#waiting.length > 0) return
    this.#handOver()
    this.#sent()
  }

  /** Gives the stream everything, whether it has room or not, and the record of what was dropped. */
  #handOver(): void {
    for (const batch of this.#waiting.splice(0)) this.#stream.write(batch.bytes)
    this.#waitingBytes = 0
    const notice = this.#drops.takeNotice()
    if (notice !== undefined) this.#stream.write(Buffer.from(notice))
  }

  #fail(error: Error): void {
    if (this.#dead) return
    this.#dead = true
    onExit.unregister(this)
    for (const batch of this.#waiting.splice(0)) this.#drop(batch)
    this.#drops.report()
    this.#sent()
    this.emit('failed', error)
  }

  #gone(): LogboomError {
    const { path, kind } = this.#options
    return new LogboomError('ERR_CLOSED', `the ${kind} worker of ${path} has ended`, { path })
  }

  #lost(error: unknown): void {
    const { path, fallback } = this.#options
    new Notice(fallback).write(`records may be missing in ${path}: ${errorMessage(error)} [ERR_LOST]`, true)
  }
}

function exitNow(link: WorkerLink): void {
  link.exitNow()
}
