import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineQueue, linePieces } from '../../../src/core/queue/line-queue.ts'

const text = fc.string({ unit: fc.constantFrom('a', 'é', '日', '💡', '\n', '\n', '\0'), maxLength: 40 })
const chunk = fc.oneof(
  text,
  text.map((value) => new Uint8Array(Buffer.from(value)))
)

function drain(queue: LineQueue, maxBytes = Number.MAX_SAFE_INTEGER): string {
  let all = ''
  while (queue.hasLines) {
    const head = queue.head(maxBytes)
    expect(head.at(-1)).toBe(10)
    all += head.toString()
    queue.consume(head.length, false)
  }
  return all
}

/** Cuts `text` into pieces at the given places, alternately as text and as bytes. */
function pieces(value: string, cuts: number[]): (string | Uint8Array)[] {
  const characters = [...value]
  const places = [...new Set(cuts.map((cut) => cut % (characters.length + 1)))].sort((a, b) => a - b)
  const bounds = [0, ...places, characters.length]
  return bounds.slice(1).map((end, index) => {
    const piece = characters.slice(bounds[index], end).join('')
    return index % 2 === 0 ? piece : new Uint8Array(Buffer.from(piece))
  })
}

describe('line queue', () => {
  it('gives back the stream unchanged up to its last line end, however it was cut', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), fc.integer({ min: 1, max: 50 }), (value, cuts, maxBytes) => {
        const queue = new LineQueue()
        for (const piece of pieces(value, cuts)) queue.push(piece)
        const whole = value.slice(0, value.lastIndexOf('\n') + 1)
        expect(drain(queue, maxBytes)).toBe(whole)
        expect(queue.queuedBytes).toBe(Buffer.byteLength(value) - Buffer.byteLength(whole))
        queue.finishLine()
        const rest = value.slice(whole.length)
        expect(drain(queue)).toBe(rest === '' ? '' : `${rest}\n`)
        expect(queue.bytes).toBe(0)
      })
    )
  })

  it('puts the prefix before every line, once, however the stream was cut', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), (value, cuts) => {
        const queue = new LineQueue(Buffer.from('> '))
        for (const piece of pieces(`${value}\n`, cuts)) queue.push(piece)
        expect(drain(queue)).toBe(`${value}\n`.replace(/^.*\n/gm, (line) => `> ${line}`))
      })
    )
  })

  it('gives at most the asked bytes unless the first line alone is longer', () => {
    const queue = new LineQueue()
    queue.push('1234567890\n1\n2\n3\n')
    expect(queue.head(4).toString()).toBe('1234567890\n')
    queue.consume(11, false)
    expect(queue.head(5).toString()).toBe('1\n2\n')
  })

  it('keeps what was written until it is released, and gives it again after a rewind', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('push', 'write', 'release', 'rewind', 'mark'), { maxLength: 60 }),
        (steps) => {
          const queue = new LineQueue()
          let waiting: string[] = []
          let kept: string[] = []
          let next = 0
          let written = 0
          let mark: { total: number; written: number } | undefined
          for (const step of steps) {
            if (step === 'push') {
              const line = `${'x'.repeat(next % 7)}${next++}\n`
              queue.push(line)
              waiting.push(line)
            } else if (step === 'write' && queue.hasLines) {
              const line = queue.head(1)
              expect(line.toString()).toBe(waiting[0])
              kept.push(waiting.shift() as string)
              queue.consume(line.length, true)
              written++
            } else if (step === 'mark') {
              mark = { total: queue.writtenTotal, written }
            } else if (step === 'release' && mark !== undefined) {
              queue.release(mark.total)
              kept = kept.slice(Math.max(0, kept.length - (written - mark.written)))
              mark = undefined
            } else if (step === 'rewind') {
              queue.rewind()
              written -= kept.length
              waiting = [...kept, ...waiting]
              kept = []
              mark = undefined
            }
            expect(queue.bytes).toBe(Buffer.byteLength([...kept, ...waiting].join('')))
            expect(queue.queuedBytes).toBe(Buffer.byteLength(waiting.join('')))
            expect(queue.hasKept).toBe(kept.length > 0)
          }
          expect(drain(queue)).toBe(waiting.join(''))
        }
      )
    )
  })

  it('counts every line exactly once, taken or refused, however pieces are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(chunk, fc.boolean()), { maxLength: 20 }), (steps) => {
        const queue = new LineQueue()
        const offered: string[] = []
        let dropped = 0
        for (const [piece, refuse] of steps) {
          if (piece.length === 0) continue
          offered.push(Buffer.from(piece as string).toString())
          dropped += refuse ? queue.refuse(piece).lines : (queue.push(piece)?.lines ?? 0)
        }
        dropped += queue.finishLine()?.lines ?? 0
        const stream = offered.join('')
        const lines = stream.split('\n').length - (stream.endsWith('\n') || stream === '' ? 1 : 0)
        const taken = drain(queue)
        expect((taken.match(/\n/g) ?? []).length + dropped).toBe(lines)
        // What is left are lines of the stream, in order, none of them merged from two.
        let at = 0
        const all = stream.split('\n')
        for (const line of taken.split('\n').slice(0, -1)) {
          at = all.indexOf(line, at) + 1
          expect(at).toBeGreaterThan(0)
        }
      })
    )
  })

  it('drops the oldest lines until the asked bytes are free, kept ones excepted', () => {
    const queue = new LineQueue()
    queue.push('1\n2\n3\n4\n5')
    queue.consume(2, true)
    expect(queue.dropOldest(3)).toEqual({ lines: 2, bytes: 4 })
    queue.rewind()
    expect(queue.head(100).toString()).toBe('1\n4\n')
    queue.push('\n')
    expect(drain(queue)).toBe('1\n4\n5\n')
    expect(queue.dropOldest(10)).toEqual({ lines: 0, bytes: 0 })
  })

  it('inserts a whole line before an unfinished one', () => {
    const queue = new LineQueue()
    queue.push('a\nb')
    queue.insertLine(Buffer.from('notice\n'))
    queue.push('c\n')
    expect(drain(queue)).toBe('a\nnotice\nbc\n')
  })

  it('takes a long line in small pieces in linear time', () => {
    const queue = new LineQueue()
    const piece = 'x'.repeat(4096)
    for (let index = 0; index < 4096; index++) queue.push(piece)
    expect(queue.hasLines).toBe(false)
    queue.push('\n')
    expect(queue.head(1).length).toBe(4096 * 4096 + 1)
  })

  it('counts what is cleared, an unfinished line included', () => {
    const queue = new LineQueue()
    queue.push('a\nb\nc')
    queue.consume(2, false)
    expect(queue.clear()).toEqual({ lines: 2, bytes: 3 })
    expect(queue.bytes).toBe(0)
  })
})

describe('pieces of a chunk', () => {
  it('are the chunk, cut behind line ends only, of the asked length or just past it', () => {
    fc.assert(
      fc.property(chunk, fc.integer({ min: 1, max: 20 }), (whole, length) => {
        const pieces = [...linePieces<string | Uint8Array>(whole, length)]
        expect(Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)))).toEqual(
          Buffer.from(whole as string)
        )
        for (const piece of pieces.slice(0, -1)) {
          expect(piece.at(-1) === '\n' || piece.at(-1) === 10).toBe(true)
          expect(piece.length).toBeGreaterThanOrEqual(length)
        }
      })
    )
  })
})
