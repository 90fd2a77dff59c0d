// The declarations under the settings and the versions of TypeScript that users have, libraries checked, too.
import { describe, expect, test } from 'vitest'
import { isLong } from '../helpers/sized.ts'
import { installed } from './application.ts'

const program = `import { RotatingFile, readRecords, LogboomError, workerStream, target, type RotatingFileOptions } from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
import rotatingFile from 'logboom/rotating-file'
const options: RotatingFileOptions = { path: 'app.log', maxBytes: '10m' }
export const file = new RotatingFile(options)
export const accepted: boolean = file.write('line')
export const path: string = file.path
export const transport = new RotatingFileTransport({ path: 'app.log', level: 'info' })
export const forPino: { target: string } = target('rotating-file', options)
export const stream = workerStream('rotating-file', options)
export const isOurs = (error: unknown): boolean => error instanceof LogboomError && error.code === 'ERR_IO'
export const records = readRecords('app.log')
export const opened = rotatingFile(options)
`
// What must not compile: an option that does not exist.
const wrong = `import { RotatingFile } from 'logboom'
new RotatingFile({ path: 'app.log', maxByte: 1 })
`
const settings = {
  'commonjs, node10': { module: 'commonjs', moduleResolution: 'node10' },
  'node16 from CommonJS': { module: 'node16', moduleResolution: 'node16' },
  'nodenext from CommonJS': { module: 'nodenext', moduleResolution: 'nodenext' },
  'esnext, bundler': { module: 'esnext', moduleResolution: 'bundler' },
  'commonjs, node10, without esModuleInterop': {
    module: 'commonjs',
    moduleResolution: 'node10',
    esModuleInterop: false,
    allowSyntheticDefaultImports: false
  }
}
/** The oldest that is promised, and what is in use. */
const versions = isLong ? ['5.4', '5.7', '5.9', '7'] : ['5.4']

describe.each(versions)('TypeScript %s', (version) => {
  const application = installed([`typescript@${version}`, '@types/node@20', 'winston', 'pino'])
  application.write('a.ts', program)
  application.write('a.mts', program)
  application.write('wrong.ts', wrong)

  function compile(own: object, files: string[]) {
    const compilerOptions = {
      strict: true,
      target: 'es2022',
      noEmit: true,
      esModuleInterop: true,
      types: ['node'],
      skipLibCheck: false,
      ...own
    }
    application.write('tsconfig.json', JSON.stringify({ compilerOptions, files }))
    return application.run('node_modules/.bin/tsc', ['-p', '.'])
  }

  // TypeScript 7 has neither node10 nor a compilation without interoperability.
  const supported = Object.entries(settings).filter(([name]) => version !== '7' || !name.includes('node10'))

  test.each(supported)('%s', (_, own) => {
    expect(compile(own, ['a.ts']).stdout).toBe('')
  })

  test('nodenext from an ES module', () => {
    expect(compile({ module: 'nodenext', moduleResolution: 'nodenext' }, ['a.mts']).stdout).toBe('')
  })

  test('an option that does not exist is an error of the compiler', () => {
    const { stdout } = compile({ module: 'node16', moduleResolution: 'node16' }, ['wrong.ts'])
    expect(stdout).toContain('maxByte')
    expect(stdout).not.toContain('TS2307')
  })
})
