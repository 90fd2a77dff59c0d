// The event 'finished' of a spool, and the command that is run for each published file.
import { existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { FinishedEvent } from '../../../src/core/sink/contract.ts'
import { createLines, createSpool } from '../../helpers/create-spool.ts'
import { createFolder } from '../../helpers/folder.ts'
import { publishedNames } from '../../helpers/spool.ts'
import { until } from '../../helpers/until.ts'

const isPosix = process.platform !== 'win32'
const linesOf = (path: string) =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []

test.each([
  ['the class', createSpool],
  ['the spool of transports', createLines]
])('%s tells of each published file', async (_, create) => {
  const dir = createFolder()
  const spool = create({ dir, size: 10, workers: 2 })
  const finished: FinishedEvent[] = []
  spool.on('finished', (event) => finished.push(event))
  for (let record = 0; record < 5; record++) await spool.write(`record number ${record}\n`)
  await spool.flush()
  await spool.close()
  await new Promise((resolve) => setImmediate(resolve))
  const paths = publishedNames(dir).map((name) => join(dir, name))
  expect(finished.map(({ path }) => path).sort()).toEqual(paths.toSorted())
  for (const { path, bytes } of finished) expect(readFileSync(path)).toHaveLength(bytes)
})

test.skipIf(!isPosix)(
  'the command is run for each of them, and by the next spool for what was left',
  async () => {
    const dir = createFolder()
    const ran = join(createFolder(), 'ran')
    const onFinished = `echo "$LOGBOOM_FILE $LOGBOOM_LOG" >> '${ran}'`
    const options = { dir, size: 10, prefix: 'app-', onFinished }
    const before = createSpool({ dir, size: 10, prefix: 'app-' })
    await before.write('published without a command')
    await before.close()
    const foreign = createSpool({ dir, size: 10, prefix: 'other-' })
    await foreign.write('of somebody else')
    await foreign.close()
    for (let start = 0; start < 2; start++) {
      const spool = createLines(options)
      for (let record = 0; record < 4; record++) {
        spool.write(`record number ${record}\n`)
        await spool.flush()
      }
      await until(() => linesOf(ran).length === 1 + (start + 1) * 4)
      await spool.close()
    }
    const ours = publishedNames(dir).filter((name) => name.startsWith('app-'))
    expect(ours).toHaveLength(9)
    expect(linesOf(ran)).toEqual(ours.map((name) => `${join(dir, name)} ${dir}`))
  }
)

test.skipIf(!isPosix)('a command that fails is run again, and one may take its file away', async () => {
  const dir = createFolder()
  const away = createFolder()
  const gate = join(createFolder(), 'gate')
  const onFinished = `test -e '${gate}' || exit 3; mv "$LOGBOOM_FILE" '${away}'`
  const spool = createSpool({ dir, size: 10, onFinished })
  const warnings: string[] = []
  spool.on('warning', ({ message }) => warnings.push(message))
  for (let record = 0; record < 3; record++) await spool.write(`record number ${record}`)
  await spool.flush()
  await until(() => warnings.length === 3)
  expect(warnings[0]).toMatch(/onFinished.*ended with 3/)
  // A collector that is faster leaves nothing to be done.
  unlinkSync(join(dir, publishedNames(dir)[0]))
  writeFileSync(gate, '')
  await until(() => publishedNames(away).length === 2)
  await spool.close()
  expect(publishedNames(dir)).toEqual([])
})

test.skipIf(!isPosix)('two spools of one folder run no command twice', async () => {
  const dir = createFolder()
  const ran = join(createFolder(), 'ran')
  const options = { dir, size: 10, onFinished: ['sh', '-c', `echo "$LOGBOOM_FILE" >> '${ran}'`] }
  const spools = [createSpool(options), createSpool(options)]
  for (let record = 0; record < 10; record++) {
    for (const spool of spools) await spool.write(`record number ${record}`)
  }
  for (const spool of spools) await spool.flush()
  await until(() => linesOf(ran).length >= 20)
  for (const spool of spools) await spool.close()
  expect(linesOf(ran).sort()).toEqual(
    publishedNames(dir)
      .map((name) => join(dir, name))
      .sort()
  )
})

test.skipIf(!isPosix)('a note that was cut short has commands run again, and is mended', async () => {
  const dir = createFolder()
  const ran = join(createFolder(), 'ran')
  const options = { dir, size: 10, onFinished: `echo "$LOGBOOM_FILE" >> '${ran}'` }
  const spool = createSpool(options)
  for (let record = 0; record < 3; record++) await spool.write(`record number ${record}`)
  await spool.flush()
  await until(() => linesOf(ran).length === 3)
  await spool.close()
  const note = join(dir, '.spool.finished')
  const text = readFileSync(note, 'utf8')
  expect(text.split('\n')).toHaveLength(5)
  writeFileSync(`${note}.new`, text.slice(0, -10), { mode: 0o600 })
  renameSync(`${note}.new`, note)
  const again = createSpool(options)
  await again.write('one more record')
  await until(() => linesOf(ran).length === 5)
  await again.close()
  expect(new Set(linesOf(ran)).size).toBe(4)
  expect(
    readFileSync(note, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('"'))
  ).toHaveLength(4)
  expect(readFileSync(note, 'utf8')).toMatch(/^logboom finished 1 0\n(".*"\n){4}$/)
})
