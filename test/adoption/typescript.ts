// A program with the types of the package, the settings of compilers, and what a compiler says of it.
import type { Application } from './application.ts'

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
export const settings = {
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
const files: Record<string, string> = { 'a.ts': program, 'a.mts': program, 'wrong.ts': wrong }

/** What a compiler says to some of the files `a.ts`, `a.mts` and `wrong.ts`, the libraries' declarations checked, too. */
export function compile(application: Application, compiler: string, own: object, names: string[]): string {
  for (const name of names) application.write(name, files[name])
  const compilerOptions = {
    strict: true,
    target: 'es2022',
    noEmit: true,
    esModuleInterop: true,
    types: ['node'],
    skipLibCheck: false,
    ...own
  }
  application.write('tsconfig.json', JSON.stringify({ compilerOptions, files: names }))
  const { error, stdout, stderr } = application.run(compiler, ['-p', '.'])
  return `${stdout}${stderr}${error ?? ''}`
}
