// Stores that ask to be left alone for a while: how long is understood, and kept to within bounds.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import type { HttpOptions } from '../../src/ship/http.ts'
import { retryAfterMs } from '../../src/ship/retry-after.ts'
import { RetryLaterError, type ShipTarget } from '../../src/ship/target.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { createLokiTarget } from '../../src/ship/targets/loki.ts'
import { createOtlpTarget } from '../../src/ship/targets/otlp.ts'
import { createS3Target } from '../../src/ship/targets/s3.ts'
import { createFolder } from '../helpers/folder.ts'
import { type HttpAnswer, startHttpServer } from '../helpers/http-server.ts'
import { createShipper, createTarget } from '../helpers/ship-target.ts'
import { until } from '../helpers/until.ts'

const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
const targets: Record<string, (options: HttpOptions) => ShipTarget | Promise<ShipTarget>> = {
  elasticsearch: createElasticsearchTarget,
  loki: createLokiTarget,
  otlp: createOtlpTarget,
  s3: ({ url }) => createS3Target({ url, credentials })
}
const taken: Record<string, HttpAnswer> = {
  elasticsearch: { body: '{"errors":false,"items":[]}' },
  loki: { status: 204 },
  otlp: {},
  s3: { headers: { etag: '"x"' } }
}

function createLog(): string {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, 'one\n')
  return path
}

const now = Date.parse('2026-01-01T00:00:00Z')

test.each<[string, Record<string, string>, number | undefined]>([
  ['seconds', { 'retry-after': '120' }, 120_000],
  ['none', { 'retry-after': '0' }, 0],
  ['blanks around', { 'retry-after': ' 7 ' }, 7_000],
  ['a date, by this clock', { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
  [
    'a date, by the clock of the store',
    { 'retry-after': 'Sat, 01 Jan 2028 00:00:05 GMT', date: 'Sat, 01 Jan 2028 00:00:00 GMT' },
    5_000
  ],
  ['a date that is over', { 'retry-after': 'Wed, 31 Dec 2025 00:00:30 GMT' }, 0],
  ['the old form of dates', { 'retry-after': 'Thursday, 01-Jan-26 00:00:30 GMT' }, 30_000],
  ['nothing', {}, undefined],
  ['an empty one', { 'retry-after': '' }, undefined],
  ['a part of a second', { 'retry-after': '1.5' }, undefined],
  ['less than nothing', { 'retry-after': '-5' }, undefined],
  ['too many digits', { 'retry-after': '9'.repeat(40) }, undefined],
  ['a year', { 'retry-after': '2028-01-01' }, undefined],
  ['some words', { 'retry-after': 'Later, if you please' }, undefined]
])('%s', (_, headers, expected) => {
  expect(retryAfterMs(headers, now)).toBe(expected)
})

describe.skipIf(!native.canLock).each(Object.keys(targets))('%s', (name) => {
  test.each(['1', 'date'])(
    'a store that is busy is asked again when it says (%s), and not before',
    async (said) => {
      const asked: number[] = []
      const url = await startHttpServer((_, __, response) => {
        asked.push(performance.now())
        if (asked.length > 1) return taken[name]
        // A date has no parts of seconds.
        const seconds = Math.ceil(Date.now() / 1000) * 1000
        response.setHeader('date', new Date(seconds).toUTCString())
        const text = said === 'date' ? new Date(seconds + 1000).toUTCString() : said
        return { status: asked.length % 2 === 1 ? 429 : 503, headers: { 'retry-after': text } }
      })
      const shipper = createShipper(createLog(), await targets[name]({ url: `${url}/push` }))
      await shipper.run()
      expect(shipper.stats()).toMatchObject({ records: 1, retries: 1 })
      expect(asked[1] - asked[0]).toBeGreaterThanOrEqual(990)
    }
  )
})

test.skipIf(!native.canLock)(
  'a store that asks for days, or for nothing that is a time, is not waited for so long',
  async () => {
    const { askedMs } = await import('../../src/ship/attempts.ts')
    for (const [asked, kept] of [
      [86_400_000, 300_000],
      [Number.POSITIVE_INFINITY, 300_000],
      [Number.NaN, 0],
      [-1, 0],
      [5_000, 5_000]
    ])
      expect(askedMs(new RetryLaterError('busy', asked))).toBe(kept)
    expect(askedMs(new Error('busy'))).toBe(0)
    // And it ends at once where it is stopped meanwhile.
    const { target } = createTarget(() => {
      throw new RetryLaterError('busy', 86_400_000)
    })
    const shipper = createShipper(createLog(), target)
    const running = shipper.run()
    await until(() => shipper.stats().retries === 1)
    const start = performance.now()
    await shipper.stop()
    await running
    expect(performance.now() - start).toBeLessThan(2_000)
  }
)
