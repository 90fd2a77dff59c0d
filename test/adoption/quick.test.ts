// What the normal run asks of the packed package, with one installation: the oldest and the newest TypeScript, Jest, and
// a bundle. The other files of this folder, but for the one that looks at the pages, are for the long run.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { installed } from './application.ts'
import { bundlers, checkAlone, checkBesideInstalled } from './bundlers.ts'
import { checkJest } from './runners.ts'
import { compile, compileOurs, settings } from './typescript.ts'

const packages = ['typescript@5.4', '@types/node@20', 'jest@30', 'esbuild@0.28', 'pino@10', 'winston@3']
const application = installed(packages)
// The newest is the one that the project itself is compiled with.
const newest = join(import.meta.dirname, '../../node_modules/.bin/tsc')

test('the newest TypeScript reads the types from CommonJS and ES modules, and knows the options', () => {
  const own = { module: 'nodenext', moduleResolution: 'nodenext', skipLibCheck: true }
  const said = compile(application, newest, own, ['a.ts', 'a.mts', 'wrong.ts'])
  expect(said.match(/error TS\d+: .*/g)).toHaveLength(1)
  expect(said).toMatch(/^wrong\.ts.*maxByte/)
})

test('the oldest TypeScript that is promised reads them with its oldest settings, and knows the options', () => {
  const said = compileOurs(application, settings['commonjs, node10'], ['a.ts', 'wrong.ts'])
  expect(said.match(/error TS\d+: .*/g)).toHaveLength(1)
  expect(said).toMatch(/^wrong\.ts.*maxByte/)
})

test('Jest with CommonJS', () => {
  checkJest(application)
})

test('a bundle finds threads and addon in the package that is installed beside it', () => {
  checkBesideInstalled(application, bundlers[0])
})

test('a bundle alone can be imported, and says what is missing and what to do', () => {
  checkAlone(application, bundlers[0])
})
