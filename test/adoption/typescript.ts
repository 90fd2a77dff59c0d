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

/**
 * The same of the files and of the declarations of the package alone: those of others, which are most of the work, are left
 * out. By the interface of TypeScript before version 7.
 */
export function compileOurs(application: Application, own: object, names: string[]): string {
  for (const name of names) application.write(name, files[name])
  const options = {
    strict: true,
    target: 'es2022',
    noEmit: true,
    esModuleInterop: true,
    types: ['node'],
    ...own
  }
  application.write(
    'compile.cjs',
    `const ts = require('typescript')
const { options } = ts.convertCompilerOptionsFromJson(${JSON.stringify(options)}, __dirname)
const program = ts.createProgram(${JSON.stringify(names)}, options)
const ours = program.getSourceFiles().filter(({ fileName }) => !fileName.includes('node_modules') || /node_modules.logboom/.test(fileName))
if (ours.length < 5) throw new Error('the declarations of the package were not found')
const all = [...program.getOptionsDiagnostics(), ...ours.flatMap((file) => [
  ...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)
])]
const host = { getCurrentDirectory: () => __dirname, getCanonicalFileName: (name) => name, getNewLine: () => '\\n' }
process.stdout.write(ts.formatDiagnostics(all, host))
`
  )
  const { error, stdout, stderr } = application.run(process.execPath, ['compile.cjs'])
  return `${stdout}${stderr}${error ?? ''}`
}
