import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LogboomError } from '../../src/base/errors.ts'
import { requireNameRoom } from '../../src/base/file-name.ts'
import { kindsOfOptions } from '../../src/base/kinds-of-options.ts'
import {
  alsoNamed,
  count,
  delay,
  durability,
  duration,
  flag,
  folder,
  namesOf,
  oneOf,
  option,
  optionalOption,
  parseOptions,
  path,
  permissions,
  requiredOption,
  size
} from '../../src/base/options.ts'
import { sinks } from '../../src/core/registry.ts'
import { rotatingFileOptions } from '../../src/core/rotating-file/options.ts'

const specs = {
  path: requiredOption('path', path, 'The file.'),
  maxBytes: option('size', size, '10m', 'The limit.'),
  interval: option('duration', duration, '1s', 'The interval.'),
  backups: option('count', count, 0, 'How many.'),
  mode: option('mode', permissions, 0o640, 'Permissions.'),
  mkdir: option('flag', flag, true, 'Create folders.'),
  compress: option('choice', oneOf([false, 'gzip']), false, 'Compression.'),
  durability: option('choice', durability, 'os', 'What flush means.'),
  prefix: optionalOption('flag', flag, 'Nothing unless given.')
}

const parse = (input: Record<string, unknown>) =>
  parseOptions('test-sink', specs, { path: 'a.log', ...input })

function errorOf(action: () => unknown): LogboomError {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(LogboomError)
    return error as LogboomError
  }
  throw new Error('nothing was thrown')
}

const rejected = (input: Record<string, unknown>) => {
  const error = errorOf(() => parse(input))
  expect(error.code).toBe('ERR_OPTION')
  return error.message
}

test('defaults are in the units of the output', () => {
  expect(parse({})).toEqual({
    path: 'a.log',
    maxBytes: 10 * 1024 * 1024,
    interval: 1000,
    backups: 0,
    mode: 0o640,
    mkdir: true,
    compress: false,
    durability: 'os'
  })
})

test('undefined means the default', () => {
  expect(parse({ maxBytes: undefined, mode: undefined })).toMatchObject({ maxBytes: 10485760, mode: 0o640 })
})

describe('sizes', () => {
  test.each([
    [0o1, 0o1],
    [1234, 1234],
    ['0', 0],
    ['512', 512],
    ['512b', 512],
    ['64k', 65536],
    ['64K', 65536],
    ['64kb', 65536],
    ['10m', 10485760],
    ['1.5m', 1572864],
    ['1 g', 1073741824]
  ])('%j is %d bytes', (input, bytes) => {
    expect(parse({ maxBytes: input }).maxBytes).toBe(bytes)
  })

  test.each([
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 60,
    '',
    '-1k',
    '10x',
    'k',
    '1k1',
    '0x10',
    '1e3',
    ' 10m',
    '1,5m',
    true,
    null,
    [],
    {}
  ])('%j is refused', (input) => {
    expect(rejected({ maxBytes: input })).toMatch(/option 'maxBytes' must be .*bytes.*, got /)
  })

  test('every text of digits and unit is the power of 1024 it says', () => {
    const units = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 }
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.constantFrom('k', 'm', 'g'), (number, unit) => {
        expect(parse({ maxBytes: `${number}${unit}` }).maxBytes).toBe(number * units[unit as 'k'])
      })
    )
  })
})

describe('durations', () => {
  test.each([
    [0o1, 0o1],
    [250, 250],
    ['100ms', 100],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['2 w', 1_209_600_000]
  ])('%j is %d ms', (input, ms) => {
    expect(parse({ interval: input }).interval).toBe(ms)
  })

  test.each([
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '',
    '10',
    '-5s',
    '10 parsecs',
    '1y',
    'soon',
    true,
    null,
    {}
  ])('%j is refused', (input) => {
    expect(rejected({ interval: input })).toMatch(/option 'interval' must be .*milliseconds.*, got /)
  })
})

describe('permissions', () => {
  test.each([
    [0o640, 0o640],
    [0o1, 0o1],
    [0o777, 0o777],
    ['0640', 0o640],
    ['640', 0o640],
    ['0o600', 0o600]
  ])('%j is accepted', (input, mode) => {
    expect(parse({ mode: input }).mode).toBe(mode)
  })

  test.each([640, 600, 644, 755, 750, 660, 777, 400, 440, 444, 500])('the decimal %d is refused', (input) => {
    expect(rejected({ mode: input })).toContain('a decimal such as 640 is a mistake')
  })

  test.each([-1, 0o1000, 1.5, Number.NaN, '0999', '64', '01777', 'rw-r-----', '', null])(
    '%j is refused',
    (input) => {
      expect(rejected({ mode: input })).toMatch(/option 'mode' must be permission bits given in octal/)
    }
  )
})

test('counts are whole numbers from 0', () => {
  expect(parse({ backups: 5 }).backups).toBe(5)
  for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5', null]) {
    expect(rejected({ backups: value })).toContain("option 'backups' must be a whole number ≥ 0, got ")
  }
})

test('a choice names what can be chosen', () => {
  expect(parse({ compress: 'gzip' }).compress).toBe('gzip')
  expect(rejected({ compress: true })).toContain("option 'compress' must be one of false, 'gzip', got true")
  expect(rejected({ durability: 'disc' })).toContain(`must be one of 'none', 'os', 'disk', got "disc"`)
})

test('paths are non-empty and without NUL', () => {
  for (const value of ['', 'a\0b', 1, null])
    expect(rejected({ path: value })).toContain("option 'path' must be a")
})

test('a missing required option is named', () => {
  expect(errorOf(() => parseOptions('test-sink', specs, {})).message).toBe(
    "test-sink: option 'path' is required [ERR_OPTION]"
  )
})

test('names from the prototype are unknown options like any other', () => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
    expect(rejected({ [name]: 1 })).toContain(`unknown option '${name}'`)
  }
})

test('an option of the wrong type is named with rule and value', () => {
  expect(rejected({ mkdir: 'yes' })).toBe(
    `test-sink: option 'mkdir' must be true or false, got "yes"; did you mean true? [ERR_OPTION]`
  )
})

test.each([undefined, null, 'a.log', 5, [], () => {}])(
  'options that are %j instead of an object are refused',
  (input) => {
    const error = errorOf(() => parseOptions('test-sink', specs, input))
    expect(error.code).toBe('ERR_OPTION')
    expect(error.message).toContain('test-sink: options must be an object, got ')
  }
)

test('no input makes the parser throw anything but ERR_OPTION', () => {
  const name = fc.constantFrom(...Object.keys(specs), '__proto__', 'other')
  fc.assert(
    fc.property(fc.dictionary(name, fc.anything({ withBigInt: true })), (input) => {
      try {
        parseOptions('test-sink', specs, input)
      } catch (error) {
        expect((error as LogboomError).code).toBe('ERR_OPTION')
      }
    })
  )
})

test('a value of any length gives a short message', () => {
  expect(rejected({ compress: 'x'.repeat(10_000) }).length).toBeLessThan(300)
})

test('values that are neither text nor number are described, not printed', () => {
  expect(rejected({ maxBytes: 10n })).toContain('got 10n')
  expect(rejected({ maxBytes: () => 1 })).toContain('got a function')
  expect(rejected({ maxBytes: [1] })).toContain('got an array')
  expect(rejected({ maxBytes: { secret: 1 } })).toContain('got an object')
  expect(rejected({ maxBytes: new Uint8Array(3) })).toContain('got 3 bytes')
})

describe('names of options', () => {
  const named = {
    dir: alsoNamed(requiredOption('path', folder, 'The folder.'), 'walDir'),
    maxBytes: alsoNamed(option('size', size, '10m', 'The limit.'), 'size', 'limitBytes')
  }
  const parseNamed = (input: Record<string, unknown>) => parseOptions('test-sink', named, input)

  test('an option given by another name comes out under its own', () => {
    expect(parseNamed({ walDir: 'a', size: '1k' })).toEqual({ dir: 'a', maxBytes: 1024 })
    expect(parseNamed({ dir: 'a', maxBytes: undefined, limitBytes: 5 })).toEqual({ dir: 'a', maxBytes: 5 })
  })

  test.each([{ size: 1, maxBytes: 1 }, { size: 1, limitBytes: 2 }, { walDir: 'b' }])(
    '%j beside its other name is refused',
    (input) => {
      const { code, message } = errorOf(() => parseNamed({ dir: 'a', ...input }))
      expect(code).toBe('ERR_OPTION')
      expect(message).toMatch(/two names of one/)
    }
  )

  test('a required option may be given by any of its names', () => {
    expect(errorOf(() => parseNamed({})).message).toMatch(/'dir' is required/)
  })
})

describe('paths', () => {
  test('a file: URL is a path', () => {
    expect(parseOptions('test-sink', specs, { path: new URL('file:///var/log/a%20b.log') }).path).toBe(
      '/var/log/a b.log'
    )
  })

  test.each([new URL('https://example.com/a.log'), Buffer.from('a.log'), {}, 5, null, '', 'a\0b'])(
    '%j is none',
    (value) => {
      expect(rejected({ path: value })).toMatch(/option 'path' must be a/)
    }
  )

  test.each(['logs/', './', '.', '..', 'logs/..'])('%j names a folder, not a file', (value) => {
    expect(rejected({ path: value })).toMatch(/must name a file, not a folder/)
  })

  test.each(['app-%DATE%.log', 'logs/%date%/app.log', 'app-YYYY-MM-DD.log', 'app.%Y-%m-%d.log'])(
    'a dated name is told where the date goes: %s',
    (value) => {
      expect(rejected({ path: value })).toMatch(/rotateEvery: 'daily'/)
    }
  )

  test.each([
    '/dev/stdout',
    '/dev/stderr',
    '/dev/../dev//stdout',
    '/dev/fd/1',
    '/proc/self/fd/2',
    '/proc/1/fd/1',
    '-',
    1,
    2
  ])('%j is a stream, for which there is something else', (value) => {
    expect(rejected({ path: value })).toMatch(/'pino\/file' or winston's Console/)
  })

  test.each(['/dev/stdout.log', 'stdout', '/proc/self/fd', '/devices/stdout', '-.log'])(
    '%s is a file',
    (value) => {
      expect(parseOptions('test-sink', specs, { path: value }).path).toBe(value)
    }
  )

  test('what only shells know is not taken for the name of a folder', () => {
    expect(rejected({ path: '~/app.log' })).toMatch(/only shells know/)
  })
})

describe('an unknown option is told what was meant', () => {
  test.each([
    ['maxbytes', 'maxBytes'],
    ['max_bytes', 'maxBytes'],
    ['MAX-BYTES', 'maxBytes'],
    ['maxByte', 'maxBytes'],
    ['maxBites', 'maxBytes'],
    ['filename', 'path'],
    ['destination', 'path'],
    ['dest', 'path'],
    ['file', 'path'],
    ['dirname', 'path'],
    ['maxSize', 'maxBytes'],
    ['size', 'maxBytes'],
    ['maxLogSize', 'maxBytes'],
    ['zippedArchive', 'compress'],
    ['gzip', 'compress'],
    ['fsync', 'durability'],
    ['fileMode', 'mode'],
    ['dur', 'durability']
  ])('%s: did you mean %s', (name, ours) => {
    expect(rejected({ [name]: 'x' })).toContain(`unknown option '${name}'; did you mean '${ours}'?`)
  })

  test.each(['open', 'reopen', 'createStream', 'query', 'addWatcher'])('%s is like nothing', (name) => {
    expect(rejected({ [name]: 'x' })).toContain(`unknown option '${name}'; known options:`)
  })

  test('before a missing one', () => {
    const { message } = errorOf(() => parseOptions('test-sink', specs, { destination: 'a.log' }))
    expect(message).toMatch(/unknown option 'destination'; did you mean 'path'\?/)
  })

  test('by its value where a name has two meanings', () => {
    const some = {
      ...specs,
      maxAge: option('duration', duration, 0, 'Age.'),
      maxBackups: option('count', count, 0, 'Backups.')
    }
    const told = (input: object) =>
      errorOf(() => parseOptions('test-sink', some, { path: 'a', ...input })).message
    expect(told({ maxFiles: 5 })).toContain("did you mean 'maxBackups'?")
    expect(told({ maxFiles: '14d' })).toContain("did you mean 'maxAge'?")
    expect(told({ limit: { count: 3 } })).toContain("did you mean 'maxBackups'?")
    expect(told({ limit: '10m' })).toContain("did you mean 'maxBytes'?")
    expect(told({ destination: 1 })).toContain("keep 'pino/file'")
  })

  test('with the owner where it is an option of another kind', () => {
    const elsewhere = new Map([['numShards', 'direct-file']])
    const told = (name: string) =>
      errorOf(() => parseOptions('test-sink', specs, { path: 'a', [name]: 1 }, elsewhere)).message
    expect(told('numShards')).toContain("unknown option 'numShards'; it is an option of direct-file")
    expect(told('numShard')).toContain("did you mean 'numShards'? It is an option of direct-file")
  })

  test('with the kinds that have it where this one does not', () => {
    expect(rejected({ eventKey: 'x' })).toContain("'eventKey'; it is an option of event-files")
    expect(rejected({ frequency: 'daily' })).toContain(
      "the like of it is 'rotateEvery', an option of rotating-file"
    )
    expect(rejected({ maxFiles: 3 })).toContain("the like of it is 'maxBackups'")
  })

  test('with the unit where it is another one there', () => {
    for (const size of [10, '10', 100]) expect(rejected({ size })).toContain("of megabytes say '10m'")
    expect(rejected({ size: 1_000_000 })).toContain('A number is bytes.')
  })

  test.each([
    ['auditFile', 'Leave it out: retention'],
    ['tailable', 'Leave it out: the live file'],
    ['watchLog', 'Leave it out: files that are moved'],
    ['pm2InstanceVar', 'Leave it out: any number of processes'],
    ['json', 'Leave it out: what a line looks like'],
    ['minLength', 'Leave it out: batches'],
    ['encoding', 'no such option here: text is UTF-8'],
    ['eol', 'an option of the winston transports'],
    ['append', "the like of it is 'truncateOnStart', an option of rotating-file and binary-file"],
    ['keepFree', "the like of it is 'minFreeBytes'"],
    ['cron', "the like of it is 'rotateAt', an option of rotating-file"],
    ['fileNamePattern', "the like of it is 'backupName'"],
    ['teeToStdout', 'no such option here: a second output'],
    ['extension', 'no such option here: the live file is named by its path'],
    ['level', "beside 'target'"]
  ])('with a reason where there is nothing of the kind: %s', (name, reason) => {
    expect(rejected({ [name]: 'x' })).toContain(reason)
  })

  test('but not guessed from two or three letters', () => {
    expect(rejected({ qq: 1 })).toContain('known options')
    expect(rejected({ pax: 1 })).toContain('known options')
  })

  test('and sees all options only where nothing fits', () => {
    expect(rejected({ qqqqqq: 1 })).toContain('known options: path, maxBytes')
    expect(rejected({ 'a\x1b[31m': 1 })).not.toContain('\x1b')
    expect(rejected({ constructor: 1 })).toContain("unknown option 'constructor'")
  })
})

const upkeep = {
  ...rotatingFileOptions,
  interval: option('duration', duration, 0, 'A duration.')
}

test.each([
  ['compress', true, "'gzip'"],
  ['compress', 'GZIP', "'gzip'"],
  ['compress', '.gz', "'gzip'"],
  ['compress', 'none', 'false'],
  ['durability', true, "'disk'"],
  ['durability', 'fsync', "'disk'"],
  ['durability', 'Disk', "'disk'"],
  ['overflow', 'drop_oldest', "'drop-oldest'"],
  ['overflow', 'discard', "'drop-newest'"],
  ['overflow', 'wait', "'block'"],
  ['mode', 664, '0o664'],
  ['mode', 640, '0o640'],
  ['mode', '-rw-r-----', "'0640'"],
  ['mode', 'rw-rw-rw-', "'0666'"],
  ['maxBytes', '10MiB', "'10m'"],
  ['maxBytes', '10 megabytes', "'10m'"],
  ['maxBytes', '1 TB', "'1024g'"],
  ['maxBytes', '10,000', '10000'],
  ['maxBytes', '1e6', '1000000'],
  ['maxBytes', 'unlimited', '0'],
  ['maxBytes', Number.POSITIVE_INFINITY, '0'],
  ['maxBackups', '5', '5'],
  ['maxBackups', -1, '0'],
  ['maxBackups', '14d', "maxAge: '14d'"],
  ['maxAge', '14 days', "'14d'"],
  ['maxAge', 'P14D', "'14d'"],
  ['maxAge', '1 year', "'365d'"],
  ['interval', '5 min', "'5m'"],
  ['interval', '100', '100'],
  ['interval', '1M', "'1m' for minutes or '30d' for months"],
  ['rotateEvery', '1M', "'1m' for minutes or 'monthly' for months"],
  ['rotateEvery', '2M', "'2m' for minutes or '60d' for months"],
  ['rotateEvery', 'month', "'monthly'"],
  ['rotateEvery', 'YYYY-MM', "'monthly'"],
  ['rotateEvery', 'YYYY', "'yearly'"],
  ['rotateEvery', 'day', "'daily'"],
  ['rotateEvery', 'DAILY', "'daily'"],
  ['rotateEvery', 'YYYY-MM-DD', "'daily'"],
  ['rotateEvery', 'yyyy-MM-dd.hh', "'hourly'"],
  ['rotateEvery', 'YYYY-MM-DD-HH-mm', "'1m'"],
  ['rotateEvery', 'YYYY-[W]WW', "'weekly'"],
  ['rotateEvery', '7 days', "'7d'"],
  ['timeZone', true, "'UTC'"],
  ['timeZone', 'localtime', "'local'"],
  ['timeZone', 'UTC+02:00', "'Etc/GMT-2'"],
  ['lock', 'false', 'false'],
  ['lock', 1, 'true']
])('a foreign value is told ours: %s %j is %s', (name, value, ours) => {
  const { code, message } = errorOf(() => parseOptions('test-sink', upkeep, { path: 'a.log', [name]: value }))
  expect(code).toBe('ERR_OPTION')
  expect(message).toContain(`did you mean ${ours}?`)
})

test.each(['toString', 'constructor', '__proto__', 'hasOwnProperty'])('%s is like no value', (value) => {
  for (const name of ['compress', 'durability', 'lock', 'timeZone', 'rotateEvery', 'maxAge', 'mode']) {
    const { message } = errorOf(() => parseOptions('test-sink', upkeep, { path: 'a.log', [name]: value }))
    expect(message).not.toContain('did you mean')
  }
})

test('backups are not removed for days that are taken for milliseconds', () => {
  expect(errorOf(() => parseOptions('test-sink', upkeep, { path: 'a.log', maxAge: 28 })).message).toContain(
    "'28d'"
  )
  for (const maxAge of [0, 1_000, '28d']) {
    expect(() => parseOptions('test-sink', upkeep, { path: 'a.log', maxAge })).not.toThrow()
  }
})

test('which kinds have an option is known of each that not nearly all have', () => {
  const owners = new Map<string, string[]>()
  for (const [kind, { options }] of Object.entries(sinks)) {
    for (const name of namesOf(options)) owners.set(name, [...(owners.get(name) ?? []), kind])
  }
  // The place of a log and what is common to all need no telling.
  const told = [...owners].filter(([name, { length }]) => length < 5 && name !== 'dir')
  const expected = told.map(([name, all]) => [name, all.join(', ').replace(/, ([^,]+)$/, ' and $1')])
  expect(Object.fromEntries(kindsOfOptions)).toEqual(Object.fromEntries(expected))
})

test("the path of a log that is a folder is its 'dir'", () => {
  expect(() => sinks.wal.check({ path: '/x/wal' })).toThrow(/unknown option 'path'; did you mean 'dir'/)
})

test('what other packages call a command for each finished file is known to every kind', () => {
  for (const { check } of Object.values(sinks)) {
    const create = () => check({ postrotate: 'true' })
    expect(create).toThrow(/unknown option 'postrotate'; did you mean 'onFinished'/)
  }
})

test('permissions of 0 are refused: nobody could read the files', () => {
  expect(rejected({ mode: 0 })).toMatch(/must not be 0/)
  expect(rejected({ mode: '000' })).toMatch(/must not be 0/)
})

test('a name without room for its backups is refused, one with room is not', () => {
  const name = (bytes: number) => `/logs/${'é'.repeat(Math.floor(bytes / 2))}${'x'.repeat(bytes % 2)}`
  expect(() => requireNameRoom('test-sink', 'path', name(215))).not.toThrow()
  expect(errorOf(() => requireNameRoom('test-sink', 'path', name(216))).code).toBe('ERR_OPTION')
  expect(() => requireNameRoom('test-sink', 'path', name(249), 6)).not.toThrow()
  expect(errorOf(() => requireNameRoom('test-sink', 'path', `/${'a'.repeat(256)}/b`)).message).toMatch(
    /too long/
  )
  expect(errorOf(() => requireNameRoom('test-sink', 'path', '/a/'.repeat(1_400))).code).toBe('ERR_OPTION')
})

test('a delay longer than timers of Node can wait is as long as they can', () => {
  const read = (after: unknown) =>
    parseOptions('x', { after: option('duration', delay, 0, 'x') }, { after }).after
  expect([read('1s'), read('30d'), read(2 ** 31), read(Number.MAX_VALUE)]).toEqual([
    1000,
    2 ** 31 - 1,
    2 ** 31 - 1,
    2 ** 31 - 1
  ])
})
