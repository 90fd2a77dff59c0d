import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { DirectFile, EventFiles } from '../../helpers/built.ts'
import { createFolder } from '../../helpers/folder.ts'

/** Until the test ends, who wakes another thread does not go on for a while, as on a machine with much to do. */
function pauseAfterNotify(): void {
  const { notify } = Atomics
  const word = new Int32Array(new SharedArrayBuffer(4))
  Atomics.notify = ((...args: Parameters<typeof notify>) => {
    const count = notify(...args)
    Atomics.wait(word, 0, 0, 200)
    return count
  }) as typeof notify
  onTestFinished(() => {
    Atomics.notify = notify
  })
}

/** The threads that are started until the test ends, and are not over. */
function threadsFromNow(): ReadonlySet<Worker> {
  const threads = new Set<Worker>()
  const { on } = Worker.prototype
  Worker.prototype.on = function (this: Worker, ...args: unknown[]) {
    if (args[0] === 'message') {
      threads.add(this)
      this.once('exit', () => threads.delete(this))
    }
    return Reflect.apply(on, this, args)
  } as typeof on
  onTestFinished(() => {
    Worker.prototype.on = on
  })
  return threads
}

const kinds = {
  'a direct file': () => {
    const file = new DirectFile({ path: `${createFolder()}/app.log`, fallback: false })
    file.log('a record')
    return file
  },
  'direct event files': () => {
    const events = new EventFiles({ dir: createFolder(), output: 'direct-file', fallback: false })
    events.log('app', 'a record')
    return events
  }
}

// What such a thread has still to tell would reach a sink that has let go of everything, and take its lock again.
test.each(Object.entries(kinds))(
  'close() of %s waits for the end of its thread, also if that has finished its work before',
  async (_, open) => {
    const threads = threadsFromNow()
    const sink = open()
    await sink.flush()
    expect(threads.size).toBe(1)
    pauseAfterNotify()
    await sink.close()
    expect(threads.size).toBe(0)
    expect(sink.stats()).toMatchObject({ state: 'closed', records: 1, dropped: 0 })
  }
)
