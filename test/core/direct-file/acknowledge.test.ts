import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { InternalSink } from '../../../src/core/sink/pumped-sink.ts'
import { SinkStream } from '../../../src/transports/sink-stream.ts'
import { DirectFile, EventFiles } from '../../helpers/built.ts'
import { readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'

const memory = { bufferSize: '512k', numShards: 4, fallback: false } as const
const path = (): string => join(createFolder(), 'app.log')
const kinds = {
  'a direct file': (durability: 'os' | 'disk') => {
    const file = path()
    return { sink: new DirectFile({ path: file, durability, ...memory }), file }
  },
  'direct event files': (durability: 'os' | 'disk') => {
    const dir = createFolder()
    const sink = new EventFiles({ dir, output: 'direct-file', defaultEvent: 'app', durability, ...memory })
    return { sink, file: join(dir, 'app.log') }
  }
}

// The host of a transport sends nothing more until then: without an answer the application would stand still.
for (const [name, open] of Object.entries(kinds)) {
  for (const durability of ['os', 'disk'] as const) {
    test(`a burst larger than the memory of ${name} is acknowledged when it is on disk (${durability})`, async () => {
      const { sink, file } = open(durability)
      const stream = new SinkStream(sink as unknown as InternalSink, true)
      const line = `${JSON.stringify({ msg: 'x'.repeat(150) })}\n`
      for (let burst = 1; burst <= 3; burst++) {
        if (!stream.write(line.repeat(12_000))) await once(stream, 'drain')
        expect(sink.stats()).toMatchObject({ records: burst * 12_000, queuedBytes: 0 })
      }
      await sink.close()
      expect(readTexts(file).length).toBe(36_000)
    })
  }
}
