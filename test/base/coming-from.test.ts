// Every option of the packages that people come from, by the name it has there, is answered: with ours, or with why
// there is none. The rows are those of the tables in docs/coming-from.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { EventFiles } from '../../src/core/event-files/event-files.ts'
import { parseRotatingFileOptions, rotatingFileOptions } from '../../src/core/rotating-file/options.ts'

/** Name there and a usual value → the option that is meant; undefined where there is none, which is said. */
const rows: [name: string, value: unknown, ours: string | undefined][] = [
  ['filename', 'app.log', 'path'],
  ['file', 'logs/app', 'path'],
  ['destination', 'app.log', 'path'],
  ['destination', 1, 'path'],
  ['dest', 'app.log', 'path'],
  ['fd', 1, 'path'],
  ['dirname', 'logs', 'path'],
  ['maxsize', 1000, 'maxBytes'],
  ['maxSize', '20m', 'maxBytes'],
  ['size', '10m', 'maxBytes'],
  ['size', 10, 'maxBytes'],
  ['maxLogSize', '10M', 'maxBytes'],
  ['maxByte', 1000, 'maxBytes'],
  ['limit', { count: 5 }, 'maxBackups'],
  ['maxFiles', 5, 'maxBackups'],
  ['maxFiles', '14d', 'maxAge'],
  ['backups', 5, 'maxBackups'],
  ['numBackups', 5, 'maxBackups'],
  ['numToKeep', 5, 'maxBackups'],
  ['maxLogs', 5, 'maxBackups'],
  ['max_logs', 5, 'maxBackups'],
  ['rotate', 5, 'maxBackups'],
  ['daysToKeep', 5, 'maxAge'],
  ['maxDays', 5, 'maxAge'],
  ['totalSize', '1g', 'maxTotalBytes'],
  ['frequency', 'daily', 'rotateEvery'],
  ['interval', '1d', 'rotateEvery'],
  ['datePattern', 'YYYY-MM-DD', 'rotateEvery'],
  ['date_format', 'YYYY-MM-DD', 'rotateEvery'],
  ['dateFormat', 'yyyy-MM-dd', 'rotateEvery'],
  ['pattern', 'yyyy-MM-dd', 'rotateEvery'],
  ['utc', true, 'timeZone'],
  ['intervalUTC', true, 'timeZone'],
  ['timezone', 'UTC', 'timeZone'],
  ['zippedArchive', true, 'compress'],
  ['compression', 'gzip', 'compress'],
  ['gzip', true, 'compress'],
  ['fileMode', 0o640, 'mode'],
  ['options', { mode: 0o640 }, 'mode'],
  ['dirPermissions', 0o750, 'dirMode'],
  ['createDir', true, 'mkdir'],
  ['fsync', true, 'durability'],
  ['periodicFlush', 100, 'flushInterval'],
  ['maxLength', 1000, 'maxBufferBytes'],
  ['highWaterMark', 1000, 'maxBufferBytes'],
  ['drop', true, 'overflow'],
  ['tailable', true, undefined],
  ['symlink', true, undefined],
  ['createSymlink', true, undefined],
  ['symlinkName', 'current.log', undefined],
  ['watchLog', true, undefined],
  ['auditFile', 'a.json', undefined],
  ['auditHashType', 'md5', undefined],
  ['history', 'h.txt', undefined],
  ['json', true, undefined],
  ['lock_file', 'x', undefined],
  ['minLength', 4096, undefined],
  ['maxWrite', 1, undefined],
  ['contentMode', 'utf8', undefined],
  ['retryEAGAIN', () => true, undefined],
  ['layout', {}, undefined],
  ['pm2', true, undefined],
  ['disableClustering', true, undefined],
  ['flags', 'a', 'truncateOnStart'],
  ['encoding', 'utf8', undefined],
  ['stream', {}, undefined],
  ['teeToStdout', true, undefined],
  ['date_format', 'YMD', 'rotateEvery'],
  ['audit_file', 'a.json', undefined],
  ['end_stream', true, undefined],
  ['verbose', true, undefined],
  ['file_options', { mode: 0o640 }, 'mode'],
  ['period', '1d', 'rotateEvery'],
  ['count', 10, 'maxBackups'],
  ['totalFiles', 10, 'maxBackups'],
  ['threshold', '10m', 'maxBytes'],
  ['startNewFile', true, 'rotateOnStart'],
  ['MaxSize', 100, 'maxBytes'],
  ['MaxBackups', 5, 'maxBackups'],
  ['MaxAge', 28, 'maxAge'],
  ['LocalTime', true, 'timeZone'],
  ['daily', true, 'rotateEvery'],
  ['missingok', true, undefined],
  ['copytruncate', true, undefined],
  ['olddir', '/var/log/old', 'backupDir'],
  ['postrotate', 'true', 'onFinished'],
  ['level', 'info', undefined],
  ['silent', true, undefined],
  ['handleExceptions', true, undefined],
  ['handleRejections', true, undefined]
]

function refusal(options: unknown): string {
  try {
    parseRotatingFileOptions(options)
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

test.each(rows)('%s: %j', (name, value, ours) => {
  // Unknown options come before missing ones, so that the message is not that `path` is required.
  const message = refusal({ ...(ours === 'path' ? {} : { path: '/nowhere/app.log' }), [name]: value })
  expect(message).toContain(`unknown option '${name}'`)
  if (ours === undefined) expect(message).toMatch(/Leave it out|no such option|belongs beside|option of/)
  else expect(message).toMatch(new RegExp(`did you mean[^.;]*'${ours}'`))
})

test.each([
  ['app-%DATE%.log', /rotateEvery/],
  ['/dev/stdout', /pino\/file.*Console/],
  ['-', /pino\/file.*Console/],
  ['/proc/self/fd/1', /pino\/file.*Console/],
  ['~/logs/app.log', /homedir/],
  ['logs/', /folder and file name/],
  ['file:///var/log/app.log', /new URL/],
  ['http://host/app.log', /new URL/],
  [1, /pino\/file/]
])('the path %j is answered with what to do', (path, told) => {
  expect(refusal({ path })).toMatch(told)
})

test('the options of files of events are, too', () => {
  const told = (options: object): string => {
    try {
      new EventFiles(options as ConstructorParameters<typeof EventFiles>[0])
    } catch (error) {
      return (error as Error).message
    }
    return 'accepted'
  }
  expect(told({ base: 'logs' })).toMatch(/did you mean[^.;]*'(dir|path)'/)
  expect(told({ dir: '/nowhere', property: 'kind' })).toContain("did you mean 'eventKey'")
  expect(told({ dir: '/nowhere', timeout: 1000 })).toMatch(/did you mean[^.;]*'idleClose'/)
})

test('what the pages of docs/coming-from have in the place of the old is accepted as it stands there', () => {
  const folder = join(import.meta.dirname, '../../docs/coming-from')
  for (const page of readdirSync(folder).filter((name) => name !== 'README.md')) {
    const blocks = [...readFileSync(join(folder, page), 'utf8').matchAll(/^```js\n(.*?)^```/gms)].map(
      ([, text]) => text
    )
    const after = blocks.map((text) => text.slice(Math.max(0, text.indexOf('// after')))).join('')
    const literals = [...after.matchAll(/\{\s*path: '[^{}]*(?:\{(?:stem|ext|name)\}[^{}]*)*\}/g)].map(
      ([text]) => text
    )
    expect(literals, page).not.toEqual([])
    for (const literal of literals) {
      const options = runInNewContext(`(${literal})`)
      expect(parseRotatingFileOptions({ ...options }).path, page).toBe(options.path)
    }
  }
})

test('every option that docs/coming-from names on the left is one of ours by that name, or answered', () => {
  const folder = join(import.meta.dirname, '../../docs/coming-from')
  const seen = new Set<string>()
  for (const page of readdirSync(folder).filter((name) => name !== 'README.md')) {
    for (const line of readFileSync(join(folder, page), 'utf8').split('\n')) {
      const left = /^\| (?!event)([^|]+)\|/.exec(line)?.[1] ?? ''
      for (const [, name] of left.matchAll(/`([a-zA-Z_]+)(?:\.[a-zA-Z]+)?(?:: [^`]*)?`/g)) seen.add(name)
    }
  }
  expect(seen.size).toBeGreaterThan(40)
  // What the tables name that is no option: an action, a method, options of the transports.
  const others = new Set([
    'createStream',
    'reopen',
    'SIGHUP',
    'eol',
    'lazy',
    'name',
    'silent',
    'format',
    'level'
  ])
  for (const name of ['handleExceptions', 'handleRejections']) others.add(name)
  for (const name of seen) {
    if (others.has(name) || name in rotatingFileOptions) continue
    const message = refusal({ path: '/nowhere/app.log', [name]: true })
    expect(message, name).toMatch(/did you mean|the like of it is|Leave it out|no such option|belongs beside/)
  }
})
