// Lines that never end, where the host does not cut them: in pipelines and with several targets.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { native } from '../../src/native/index.ts'
import { UnfinishedLine } from '../../src/transports/unfinished-line.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

function create() {
  const host = { finish: vi.fn(), warn: vi.fn() }
  return { host, line: new UnfinishedLine(host) }
}

describe('an unfinished line', () => {
  it('is ended after a second, however often something is added, and that is said once', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const { host, line } = create()
    for (let i = 0; i < 12; i++) {
      line.wrote('abc')
      vi.advanceTimersByTime(250)
    }
    expect(host.finish).toHaveBeenCalledTimes(3)
    expect(host.warn).toHaveBeenCalledTimes(1)
  })

  it('is ended at a mebibyte', () => {
    const { host, line } = create()
    for (let i = 0; i < 16; i++) line.wrote(Buffer.alloc(64 * 1024, 'x'))
    expect(host.finish).toHaveBeenCalledTimes(1)
    line.clear()
  })

  it('that ends by itself is left alone', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const { host, line } = create()
    for (const chunk of ['{"a', '":1}\n{"b":2', '}\n', Buffer.from('{}\n'), '']) {
      expect(line.isMissingBefore(chunk)).toBe(false)
      line.wrote(chunk)
      vi.advanceTimersByTime(900)
    }
    expect(host.finish).not.toHaveBeenCalled()
    expect(host.warn).not.toHaveBeenCalled()
  })

  it('is seen to be one record where another follows, unless line ends were there before', () => {
    const { host, line } = create()
    line.wrote('{"a":1}')
    expect(line.isMissingBefore(Buffer.from('{"b":2}'))).toBe(true)
    expect(host.warn).toHaveBeenCalledTimes(1)
    line.wrote('\n{"b":"}')
    expect(line.isMissingBefore('{"}\n')).toBe(false)
    line.clear()
  })
})

it('records that a transform passes on without line ends are lines of their own when flush calls back', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const stage = join(folder, 'stage.mjs')
  writeFileSync(
    stage,
    `import { Transform } from 'node:stream'
    export default () => {
      let rest = ''
      return new Transform({
        transform(chunk, encoding, callback) {
          const lines = (rest + chunk).split('\\n')
          rest = lines.pop()
          for (const line of lines) this.push(JSON.stringify({ id: JSON.parse(line).id }))
          callback()
        }
      })
    }`
  )
  const options = { path, lock: native.canLock, fallback: false }
  const stream = pino.transport({
    pipeline: [{ target: stage }, { target: 'logboom/rotating-file', options }]
  })
  const warnings: string[] = []
  stream.on('warning', ({ message }: { message: string }) => warnings.push(message))
  const logger = pino(stream)
  for (let id = 0; id < 200; id++) logger.info({ id })
  await new Promise((resolve) => logger.flush(resolve))
  await until(() => readFileSync(path, 'utf8').endsWith('{"id":199}\n'), { timeoutMs: 5_000 })
  const ids = readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).id)
  expect(ids).toEqual(Array.from({ length: 200 }, (_, id) => id))
  await until(() => warnings.length > 0)
  expect(warnings).toEqual([expect.stringMatching(/without line ends/)])
  stream.end()
  await new Promise((resolve) => stream.once('close', resolve))
})
