// What README and the pages for those who come from other packages show is run as it stands, also without the addon.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'

const root = dirname(dirname(import.meta.dirname))
/** The blocks of a page that are programs. */
const blocksOf = (page: string): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```js\n(.*?)^```/gms)].map(([, block]) => block)

/** Runs a program in an empty folder from which the packages are found. */
function run(source: string, env: NodeJS.ProcessEnv) {
  const folder = createFolder()
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules', 'logboom'))
  for (const name of ['pino', 'winston']) {
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  }
  writeFileSync(join(folder, 'program.mjs'), source)
  const options = { cwd: folder, env: { ...process.env, ...env }, encoding: 'utf8', timeout: 30_000 } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], options)
  // Not through `node_modules`: a link in there may lead back to where it is.
  const logs = ['.', 'logs']
    .filter((sub) => existsSync(join(folder, sub)))
    .flatMap((sub) => readdirSync(join(folder, sub)).map((name) => join(sub, name)))
    .filter((name) => /(^|\/)(app|access)\.log$/.test(name))
  return {
    status,
    stdout,
    stderr,
    text: logs.map((name) => readFileSync(join(folder, name), 'utf8')).join('')
  }
}

describe.each([
  ['without the addon', { LOGBOOM_NATIVE: '0' }],
  ...(native.canLock ? [['with the addon', {}] as const] : [])
] as const)('the programs of README, %s', (_, env) => {
  test.each(blocksOf('README.md').map((block) => [block.trimEnd().split('\n').at(-1), block]))(
    '%s',
    (_last, block) => {
      const { status, stderr, text } = run(block, env)
      expect(status, stderr).toBe(0)
      expect(text).toContain('hello')
      expect(stderr.split('\n').length).toBeLessThanOrEqual(2)
    }
  )
})

/** In the place of what pages use of packages that are not here. */
const standIns = `
  const app = { use() {} }
  const morgan = () => {}
  const bunyan = {
    createLogger: ({ streams }) => ({ info: (msg) => streams[0].stream.write(JSON.stringify({ msg }) + '\\n') })
  }`

describe('what is written after the change from another package works', () => {
  const pages = readdirSync(join(root, 'docs/coming-from')).filter((name) => name !== 'README.md')

  test.each(pages)('%s', (page) => {
    const [block] = blocksOf(`docs/coming-from/${page}`)
    const after = block
      .slice(Math.max(0, block.indexOf('// after')))
      .replaceAll(/^import .*\n/gm, '')
      .replaceAll('/var/log/app/', '')
    const parts = after.split(/^\/\/ after.*\n/m).filter((part) => part.trim() !== '')
    expect(parts.length).toBeGreaterThan(0)
    for (const part of parts) {
      // A transport by itself is given to a logger, and what is made is used.
      const body = part
        .replace(/^new RotatingFileTransport/m, 'const transport = new RotatingFileTransport')
        .replace(/^new RotatingFile\(/m, 'const file = new RotatingFile(')
        .replace(/^pino\(/m, 'const logger = pino(')
      const rest = body.includes('const transport')
        ? "winston.createLogger({ transports: [transport] }).info('hello')"
        : body.includes('const logger')
          ? "logger.info('hello')"
          : body.includes('const log ')
            ? "log.info('hello')"
            : body.includes('const stream')
              ? "stream.write('hello\\n')"
              : "file.write('hello\\n')"
      const program = `
        import pino from 'pino'
        import winston from 'winston'
        import { RotatingFile, workerStream } from 'logboom'
        import { RotatingFileTransport } from 'logboom/winston'
        ${standIns}
        ${body}
        ${rest}`
      const { status, stderr, text } = run(program, {})
      expect(status, `${program}\n${stderr}`).toBe(0)
      expect(text).toContain('hello')
    }
  })
})
