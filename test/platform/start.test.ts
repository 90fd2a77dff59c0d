// What a program loads: little at its start, and all that a sink works with when it is made.
import { expect, test } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import { runScript } from '../helpers/run-script.ts'

/** Ahead of a script: `loaded()` lists the files of the package and its dependencies, and the parts of Node. */
const PRELUDE = `
  import { createRequire } from 'node:module'
  const { cache } = createRequire(import.meta.url)
  const early = new Set(process.moduleLoadList)
  const loaded = () => [
    ...Object.keys(cache),
    ...process.moduleLoadList.filter((each) => /^NativeModule (?!internal)/.test(each) && !early.has(each))
  ]
`

/** What no program needs that only logs to a file, each some milliseconds of CPU. */
const COSTLY = /(assert|child_process|crypto|https?|net|tls|worker_threads|zlib)$/

async function loadedBy(statement: string): Promise<string[]> {
  const { code, stdout, stderr } = await runScript(
    `${PRELUDE}${statement}\nconsole.log(loaded().join('\\n'))`
  )
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return stdout.trim().split('\n')
}

test.each(['logboom', 'logboom/winston', 'logboom/metrics'])(
  'import of %s loads neither what its sinks work with nor the addon',
  async (name) => {
    const files = await loadedBy(`await import('${name}')`)
    expect(files.filter((file) => file.includes('/dist/cjs/')).length).toBeGreaterThan(0)
    expect(files.filter((file) => /pump-|option-values-|\.node$|node_modules\/valibot/.test(file))).toEqual(
      []
    )
    expect(files.filter((file) => file.startsWith('NativeModule ') && COSTLY.test(file))).toEqual([])
  }
)

const sinks: Record<string, string> = {
  'RotatingFile, with rotation and compression': `
    const sink = new RotatingFile({ path: folder + '/a.log', maxBytes: 200, maxBackups: 3, compress: 'gzip' })
    made()
    for (let i = 0; i < 20; i++) sink.write('a line of text\\n')
    await sink.flush()
    sink.rotate()
    sink.flushSync()`,
  BinaryFile: `
    const sink = new BinaryFile({ path: folder + '/a.bin', maxBytes: 200 })
    made()
    for (let i = 0; i < 20; i++) sink.write('a record')
    await sink.flush()`,
  DirectFile: `
    const sink = new DirectFile({ path: folder + '/a.dio' })
    made()
    for (let i = 0; i < 20; i++) sink.write('a record')
    await sink.flush()`,
  Spool: `
    const sink = new Spool({ dir: folder + '/spool' })
    made()
    for (let i = 0; i < 20; i++) sink.write('a record')
    await sink.flush()`,
  WriteAheadLog: `
    const sink = new WriteAheadLog({ dir: folder + '/wal' })
    made()
    await sink.log(['a record'])`
}

for (const output of ['rotating-file', 'direct-file', 'binary-file', 'wal']) {
  sinks[`EventFiles of the kind ${output}`] = `
    const sink = new EventFiles({ dir: folder + '/events', output: '${output}', maxBytes: '1m' })
    made()
    for (let i = 0; i < 20; i++) sink.log('an event', 'a line of text')
    await sink.flush()`
}

test.each(Object.entries(sinks))('%s has loaded all its files when it is made', async (_, work) => {
  const { code, stdout, stderr } = await runScript(
    `${PRELUDE}
    import { BinaryFile, DirectFile, EventFiles, RotatingFile, Spool, WriteAheadLog } from 'logboom'
    const folder = process.argv[1]
    const imported = Object.keys(cache).length
    let files
    const made = () => { files = Object.keys(cache) }
    ${work}
    await sink.close()
    const late = Object.keys(cache).filter((file) => !files.includes(file))
    console.log(JSON.stringify({ late, atOnce: files.length - imported }))`,
    [createFolder()]
  )
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const { late, atOnce } = JSON.parse(stdout)
  expect(late).toEqual([])
  expect(atOnce).toBeGreaterThan(10)
})
