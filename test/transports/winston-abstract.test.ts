// winston's own suite for transports, on every transport of this package. (It has no more than is asked for here: its
// files for queries and streams were published empty.)
import { createRequire } from 'node:module'
import { join } from 'node:path'
import * as transports from 'logboom/winston'
import { afterAll, afterEach, beforeEach, describe, it } from 'vitest'
import { native } from '../../src/native/index.ts'
import { transportClass } from '../conformance/transport-class.ts'
import { createFolder } from '../helpers/folder.ts'

type Done = (error?: unknown) => void
type Step = ((done: Done) => void) | (() => void)

const kinds: Record<string, (folder: string) => object> = {
  'rotating-file': (folder) => ({ path: join(folder, 'app.log'), lock: native.canLock }),
  'direct-file': (folder) => ({ path: join(folder, 'app.dlog') }),
  'binary-file': (folder) => ({ path: join(folder, 'app.bin'), maxBytes: '1m', lock: native.canLock }),
  'event-files': (folder) => ({ dir: folder, lock: native.canLock }),
  spool: (folder) => ({ path: folder }),
  wal: (folder) => ({ walDir: join(folder, 'wal') })
}

/** The suite is written for mocha: steps that take an argument call it when they are done. */
function promised(step: Step): () => unknown {
  if (step.length === 0) return step as () => void
  return () => new Promise<void>((resolve, reject) => step((error) => (error ? reject(error) : resolve())))
}

Object.assign(globalThis, {
  describe,
  it: (name: string, step: Step) => it(name, promised(step)),
  beforeEach: (step: Step) => beforeEach(promised(step) as () => void),
  afterEach: (step: Step) => afterEach(promised(step) as () => void),
  after: (step: Step) => afterAll(promised(step) as () => void)
})

const suite = createRequire(import.meta.url)('abstract-winston-transport') as (options: object) => void

for (const [kind, options] of Object.entries(kinds)) {
  const name = transportClass(kind)
  const Transport = Object.entries(transports).find(([each]) => each === name)?.[1] as unknown as new (
    options: object
  ) => { close(): Promise<void> }
  let opened: { close(): Promise<void> }[] = []
  suite({
    name,
    Transport: class extends Transport {
      constructor(given: object) {
        super(given)
        opened.push(this)
      }
    },
    construct: () => options(createFolder()),
    afterEach: async (_options: object, done: Done) => {
      await Promise.all(opened.map((transport) => transport.close()))
      opened = []
      done()
    }
  })
}
