import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import type { RecordQueue } from '../../../src/core/queue/byte-queue.ts'
import { LineQueue } from '../../../src/core/queue/line-queue.ts'
import { FrameQueue } from '../../../src/core/queue/payload-queue.ts'
import { Account } from '../../../src/core/sink/account.ts'
import type { Overflow } from '../../../src/core/sink/contract.ts'
import { Intake } from '../../../src/core/sink/intake.ts'
import { SinkLife } from '../../../src/core/sink/sink-state.ts'

/** An intake of 100 bytes. `makeRoom` is what a pump would do: `room` says how often it can. */
function create(overflow: Overflow, queue: RecordQueue = new LineQueue()) {
  const account = new Account(new EventEmitter(), '/memory', false)
  const life = new SinkLife()
  const host = {
    room: 0,
    end: () => life.become('failed'),
    asked: [] as boolean[],
    makeRoom(isBlocking: boolean): boolean {
      this.asked.push(isBlocking)
      if (this.room === 0) return false
      this.room--
      queue.consume(queue.head(Number.POSITIVE_INFINITY).length, false)
      return true
    }
  }
  const intake = new Intake(account, queue, life, { maxBufferBytes: 100, overflow }, (isBlocking) =>
    host.makeRoom(isBlocking)
  )
  return { intake, queue, host, account }
}

/** A line of 40 bytes with its end. */
const line = (name: string): string => `${name.repeat(39)}\n`
const text = (queue: RecordQueue): string => queue.head(Number.POSITIVE_INFINITY).toString()

test('below the bound nothing is asked, and nothing is dropped', () => {
  const { intake, queue, host, account } = create('drop-newest')
  intake.accept(line('a'))
  intake.accept(Buffer.from(line('b')))
  expect(text(queue)).toBe(line('a') + line('b'))
  expect(host.asked).toEqual([])
  expect(account.counters.dropped).toBe(0)
})

test('at the bound what waits is written first, if that can be done', () => {
  const { intake, queue, host, account } = create('drop-newest')
  host.room = 1
  for (const name of ['a', 'b', 'c']) intake.accept(line(name))
  expect(host.asked).toEqual([false])
  expect(text(queue)).toBe(line('c'))
  expect(account.counters.dropped).toBe(0)
})

test("'drop-newest' drops what comes, whole lines only, though they come in pieces", () => {
  const { intake, queue, account } = create('drop-newest')
  intake.accept(line('a') + line('b'))
  intake.accept(line('c').slice(0, 30))
  intake.accept(line('c').slice(30))
  intake.accept('d\n')
  expect(text(queue)).toBe(`${line('a')}${line('b')}d\n`)
  expect(account.counters.dropped).toBe(1)
})

test("'drop-oldest' drops as many from the head as are needed", () => {
  const { intake, queue, account } = create('drop-oldest')
  for (const name of ['a', 'b', 'c', 'd']) intake.accept(line(name))
  expect(text(queue)).toBe(line('c') + line('d'))
  expect(account.counters.dropped).toBe(2)
})

test('of a chunk that reaches the bound the lines that fit are taken', () => {
  const { intake, queue, account } = create('drop-newest')
  intake.accept(['a', 'b', 'c', 'd'].map(line).join(''))
  expect(text(queue)).toBe(line('a') + line('b'))
  expect(account.counters.dropped).toBe(2)
})

test("'block' asks until there is room, the first time without blocking", () => {
  const { intake, queue, host, account } = create('block')
  intake.accept(line('a') + line('b'))
  const makeRoom = host.makeRoom.bind(host)
  host.makeRoom = (isBlocking) => {
    host.room = host.asked.length >= 2 ? 1 : 0
    return makeRoom(isBlocking)
  }
  intake.accept(line('c'))
  expect(host.asked).toEqual([false, true, true])
  expect(text(queue)).toBe(line('c'))
  expect(account.counters.dropped).toBe(0)
})

test('a caller that is blocked is let go when the target fails for good, and the record is counted', () => {
  const { intake, queue, host, account } = create('block')
  intake.accept(line('a') + line('b'))
  host.makeRoom = (isBlocking) => {
    if (isBlocking) host.end()
    return isBlocking
  }
  intake.accept(line('c'))
  expect(text(queue)).toBe(line('a') + line('b'))
  expect(account.counters.dropped).toBe(1)
})

test.each(['drop-newest', 'drop-oldest', 'block'] as const)(
  'one record above the bound is taken alone: %s',
  (overflow) => {
    const { intake, queue, account } = create(overflow)
    intake.accept(`${'x'.repeat(500)}\n`)
    expect(text(queue)).toHaveLength(501)
    expect(account.counters.dropped).toBe(0)
  }
)

test('a text is weighed by its bytes, not its units', () => {
  const { intake, queue, account } = create('drop-newest')
  intake.accept(`${'€'.repeat(20)}\n`)
  intake.accept(`${'€'.repeat(20)}\n`)
  expect(queue.bytes).toBe(61)
  expect(account.counters.dropped).toBe(1)
  intake.accept(`${'x'.repeat(38)}\n`)
  expect(queue.bytes).toBe(100)
  expect(account.counters.dropped).toBe(1)
})

test('a record with a length before it is weighed with that', () => {
  const { intake, queue, account } = create('drop-newest', new FrameQueue('payloads'))
  const overhead = queue.overhead('')
  intake.accept('x'.repeat(60))
  intake.accept('y'.repeat(41 - 2 * overhead))
  expect(account.counters.dropped).toBe(1)
  intake.accept('z'.repeat(40 - 2 * overhead))
  expect(account.counters.dropped).toBe(1)
  expect(queue.bytes).toBe(100)
})

test('an empty record is one, an empty piece of a stream is nothing', () => {
  const frames = create('drop-newest', new FrameQueue('payloads'))
  frames.intake.accept('')
  expect(frames.queue.hasLines).toBe(true)
  const lines = create('drop-newest')
  lines.host.end()
  lines.intake.accept('')
  expect(lines.account.counters.dropped).toBe(0)
})

test('after the end everything is given up and counted', () => {
  const { intake, queue, host, account } = create('block')
  host.end()
  intake.accept(line('a') + line('b'))
  intake.insert(Buffer.from('notice\n'))
  expect(queue.hasLines).toBe(false)
  expect(account.counters.dropped).toBe(3)
  expect(intake.givenUp).toEqual({ lines: 3, bytes: 87 })
})

test('a whole line goes before an unfinished one, which is completed later', () => {
  const { intake, queue } = create('block')
  intake.accept('begin')
  intake.insert(Buffer.from('notice\n'))
  intake.accept('ning')
  intake.finishLine()
  expect(text(queue)).toBe('notice\nbeginning\n')
})
