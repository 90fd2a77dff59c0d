// Stdout as a stream of pieces of bytes that waits for a slow reader.
import { setTimeout as sleep } from 'node:timers/promises'
import sonicBoom from 'sonic-boom'
import { systemCode } from '../base/errors.ts'

// Its types name the exports of the module, which CommonJS gives as a property of the default only.
const { SonicBoom } = sonicBoom

/** A pipe that another process made non-blocking says EAGAIN when it is full. */
const FULL_PIPE_WAIT_MS = 5
const NOTHING = Buffer.alloc(0)

/** The reader of stdout has gone (`| head`): no error, but nothing more to do. */
export class ReaderGone extends Error {}

/** One piece after the other: await each before the next. */
export class Stdout {
  // Retries of its own come only every 100 ms, which would be the pace of a pipe that is often full.
  readonly #stream = new SonicBoom({ fd: 1, contentMode: 'buffer', sync: false, retryEAGAIN: () => false })

  /** Resolves when the kernel has taken all of `bytes`. Rejects with `ReaderGone` when nobody reads any more. */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    let piece: Uint8Array = bytes
    for (;;) {
      const error = await this.#send(piece)
      if (error === undefined) return
      const code = systemCode(error)
      if (code === 'EPIPE') throw new ReaderGone()
      if (code !== 'EAGAIN' && code !== 'EBUSY') throw error
      await sleep(FULL_PIPE_WAIT_MS)
      // The stream keeps what it could not write and goes on with it at the next call.
      piece = NOTHING
    }
  }

  #send(piece: Uint8Array): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const settle = (error?: Error): void => {
        this.#stream.off('drain', settle)
        this.#stream.off('error', settle)
        resolve(error)
      }
      this.#stream.on('drain', settle)
      this.#stream.on('error', settle)
      this.#stream.write(piece as Buffer & string)
    })
  }
}
