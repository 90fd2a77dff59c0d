import { expect, test } from 'vitest'
import { LogboomError } from '../../../src/base/errors.ts'
import { CommitQueue } from '../../../src/core/wal/commit-queue.ts'
import type { LogWriter } from '../../../src/core/wal/log-writer.ts'
import type { IndexRange, WalRecords } from '../../../src/core/wal/writer-contract.ts'

const passing = (): LogboomError => new LogboomError('ERR_IO', 'the disk is full')

/** A queue over a log in memory. */
function create() {
  const log = {
    groups: [] as string[][],
    news: [] as string[],
    failures: [] as LogboomError[],
    /** What settles the groups, one after the other; none: at once. */
    settling: undefined as (() => Promise<void>) | undefined,
    next: 1n
  }
  const writer = {
    append(batches: readonly WalRecords[]): IndexRange[] {
      const failure = log.failures.shift()
      if (failure !== undefined) throw failure
      log.groups.push(batches.flat().map(String))
      return batches.map((batch) => {
        const firstIndex = log.next
        log.next += BigInt(batch.length)
        return { firstIndex, lastIndex: log.next - 1n } as IndexRange
      })
    },
    waitToRetry: () => new Promise<void>((resolve) => void setImmediate(resolve))
  }
  const queue = new CommitQueue({
    writer: () => writer as unknown as LogWriter,
    settle: () => log.settling?.(),
    commitNow: (records) =>
      log.settling === undefined && log.failures.length === 0 ? writer.append([records])[0] : undefined,
    degraded: () => log.news.push('degraded'),
    recovered: () => log.news.push('recovered')
  })
  return { queue, log }
}

const batch = (...records: string[]) => ({ records, bytes: records.join('').length })

test('batches of one turn are one group, each with its own range', async () => {
  const { queue, log } = create()
  const ranges = await Promise.all([
    queue.push(batch('a')),
    queue.push(batch('b', 'c')),
    queue.push(batch('d'))
  ])
  expect(log.groups).toEqual([['a', 'b', 'c', 'd']])
  expect(ranges).toMatchObject([
    { firstIndex: 1n, lastIndex: 1n },
    { firstIndex: 2n, lastIndex: 3n },
    { firstIndex: 4n, lastIndex: 4n }
  ])
  expect([queue.queuedBytes, queue.progress]).toEqual([0, 3])
})

test('what comes while a group settles is the next group', async () => {
  const { queue, log } = create()
  let settle = (): void => {}
  log.settling = () =>
    new Promise((resolve) => {
      settle = resolve
    })
  const first = queue.push(batch('a'))
  await new Promise((resolve) => setImmediate(resolve))
  const later = [queue.push(batch('b')), queue.push(batch('c'))]
  settle()
  await first
  await new Promise((resolve) => setImmediate(resolve))
  settle()
  await Promise.all(later)
  expect(log.groups).toEqual([['a'], ['b', 'c']])
})

test('a failure that passes is told once, and costs nothing', async () => {
  const { queue, log } = create()
  log.failures = [passing(), passing(), passing()]
  await expect(queue.push(batch('a'))).resolves.toMatchObject({ firstIndex: 1n })
  expect(log.news).toEqual(['degraded', 'recovered'])
  expect(queue.queuedBytes).toBe(0)
})

test('a failure that does not pass rejects its group alone', async () => {
  const { queue, log } = create()
  log.failures = [new LogboomError('ERR_CLOSED', 'over')]
  const failed = [queue.push(batch('a')), queue.push(batch('b'))]
  for (const promise of failed) await expect(promise).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await expect(queue.push(batch('c'))).resolves.toBeDefined()
  expect(log.groups).toEqual([['c']])
  expect(queue.queuedBytes).toBe(0)
})

test('a group that cannot be made durable is rejected, although it was appended', async () => {
  const { queue, log } = create()
  log.settling = () => Promise.reject(new LogboomError('ERR_SYNC', 'no'))
  await expect(queue.push(batch('a'))).rejects.toMatchObject({ code: 'ERR_SYNC' })
  expect(queue.waiting).toEqual([])
})

test('appending on this thread takes what waits, once, ahead of the loop', async () => {
  const { queue, log } = create()
  const waiting = [queue.push(batch('a')), queue.push(batch('b'))]
  queue.appendNow()
  expect(log.groups).toEqual([['a', 'b']])
  await Promise.all(waiting)
  await queue.idle()
  expect(log.groups).toHaveLength(1)
  expect(queue.queuedBytes).toBe(0)
})

test('appending on this thread that fails leaves everything where it was', async () => {
  const { queue, log } = create()
  const waiting = queue.push(batch('a'))
  log.failures = [passing()]
  expect(() => queue.appendNow()).toThrow('ERR_IO')
  expect(queue.waiting).toEqual([['a']])
  await waiting
  expect(log.groups).toEqual([['a']])
})

test('what was not appended can be given up', async () => {
  const { queue, log } = create()
  const waiting = queue.push(batch('abc'))
  expect(queue.queuedBytes).toBe(3)
  queue.rejectAll(new LogboomError('ERR_LOST', 'over'))
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_LOST' })
  await queue.idle()
  expect(log.groups).toEqual([])
  expect(queue.queuedBytes).toBe(0)
})

test('one group is no larger than its bound, however much waits', async () => {
  const { queue, log } = create()
  const large = { records: ['x'], bytes: 3 * 1024 * 1024 }
  await Promise.all([queue.push(large), queue.push(large), queue.push(large), queue.push(large)])
  expect(log.groups.map((group) => group.length)).toEqual([2, 2])
})

test('after a failure fewer batches are tried at once, and more again as soon as that works', async () => {
  const { queue, log } = create()
  log.failures = [passing(), passing()]
  await Promise.all(Array.from({ length: 20 }, (_, i) => queue.push(batch(String(i)))))
  expect(log.groups.map((group) => group.length)).toEqual([5, 10, 5])
  expect(log.groups.flat()).toEqual(Array.from({ length: 20 }, (_, i) => String(i)))
})

test('a caller that waits for each batch is answered on this thread, and the other way when that fails', async () => {
  const { queue, log } = create()
  let settled = 0
  log.settling = async () => void settled++
  // As long as it is not known whether the disk is fast.
  for (let number = 0; number < 64; number++) await queue.push(batch(`a${number}`))
  expect(settled).toBe(64)
  log.settling = undefined
  for (let number = 0; number < 20; number++) await queue.push(batch(`b${number}`))
  log.failures = [passing()]
  await queue.push(batch('c'))
  expect(log.groups).toHaveLength(85)
  expect(log.groups.at(-1)).toEqual(['c'])
  expect(log.news).toEqual(['degraded', 'recovered'])
  expect([queue.queuedBytes, queue.progress]).toEqual([0, 85])
})

test('callers that await each batch let others have their turn', async () => {
  const { queue } = create()
  let turns = 0
  const timer = setInterval(() => void turns++, 0)
  for (let number = 0; number < 2_000; number++) await queue.push(batch('a'))
  clearInterval(timer)
  expect(turns).toBeGreaterThan(0)
})
