import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LogboomError } from '../../src/base/errors.ts'
import {
  count,
  durability,
  duration,
  flag,
  oneOf,
  option,
  optionalOption,
  parseOptions,
  path,
  permissions,
  requiredOption,
  size
} from '../../src/base/options.ts'

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
    [0, 0],
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
    [0, 0],
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
    [0, 0],
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

test('an unknown option is named together with the known ones', () => {
  const message = rejected({ maxByte: 1 })
  expect(message).toContain('test-sink: unknown option "maxByte"; known options: path, maxBytes, interval')
  for (const name of Object.keys(specs)) expect(message).toContain(name)
})

test('names from the prototype are unknown options like any other', () => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
    expect(rejected({ [name]: 1 })).toContain(`unknown option "${name}"`)
  }
})

test('an option of the wrong type is named with rule and value', () => {
  expect(rejected({ mkdir: 'yes' })).toBe(
    `test-sink: option 'mkdir' must be true or false, got "yes" [ERR_OPTION]`
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
