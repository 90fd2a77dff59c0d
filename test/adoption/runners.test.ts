// Test runners of users: the package can be required and imported in their tests, logs, and lets them end.
import { expect, test } from 'vitest'
import { installed } from './application.ts'
import { body, checkJest, imported, jestTest, required } from './runners.ts'

test('Jest with CommonJS', () => {
  checkJest(installed(['jest@30', 'pino', 'winston']))
}, 300_000)

test('ts-jest', () => {
  const application = installed([
    'jest@29',
    'ts-jest@29',
    'typescript@5.9',
    '@types/jest@29',
    '@types/node@20',
    'pino',
    'winston'
  ])
  application.write('jest.config.js', `module.exports = { preset: 'ts-jest' }`)
  application.write(
    'tsconfig.json',
    '{ "compilerOptions": { "module": "commonjs", "esModuleInterop": true, "target": "es2022" } }'
  )
  application.write('a.test.ts', `${imported}${jestTest}`.replaceAll('catch (error)', 'catch (error: any)'))
  const { status, stderr } = application.run('node_modules/.bin/jest', ['--runInBand'])
  expect(stderr).toContain('1 passed')
  expect(status).toBe(0)
}, 300_000)

test('vitest', () => {
  const application = installed(['vitest', 'pino', 'winston'], 'module')
  application.write(
    'a.test.mjs',
    `import { expect, test } from 'vitest'\n${imported}${jestTest.replaceAll(': any', '')}`
  )
  expect(application.tool('vitest', ['run'])).toContain('1 passed')
}, 300_000)

test('Jest with ES modules', () => {
  const application = installed(['jest@30', 'pino', 'winston'])
  application.write('jest.config.json', '{ "transform": {}, "testMatch": ["**/*.test.mjs"] }')
  application.write('a.test.mjs', `${imported}${jestTest.replaceAll(': any', '')}`)
  const env = { NODE_OPTIONS: '--experimental-vm-modules' }
  const { status, stderr } = application.run('node_modules/.bin/jest', ['--runInBand'], env)
  expect(stderr).toContain('1 passed')
  expect(status).toBe(0)
}, 300_000)

const compilers: [name: string, packages: string[], options: object][] = [
  ['tsx', ['tsx'], {}],
  ['ts-node', ['ts-node@10', 'typescript@5.9'], { module: 'commonjs', moduleResolution: 'node10' }]
]

test.each(compilers)(
  '%s',
  (name, packages, options) => {
    const application = installed([...packages, '@types/node@20', 'pino', 'winston'])
    const compilerOptions = { target: 'es2022', esModuleInterop: true, ...options }
    application.write('tsconfig.json', JSON.stringify({ compilerOptions }))
    const equal = `const equal = (a: unknown, b: unknown): void => { if (a !== b) throw new Error(\`\${a} is not \${b}\`) }`
    const program = `${imported}${equal}\nasync function main() {${body}}\nmain().then(() => console.log('all ways in'))\n`
    application.write(
      'a.ts',
      program.replaceAll('(name)', '(name: string)').replace('catch (error)', 'catch (error: any)')
    )
    expect(application.tool(name, ['a.ts'])).toBe('all ways in\n')
  },
  300_000
)

const ways: [string, string, string][] = [
  [
    'imported',
    'a.test.mjs',
    `import test from 'node:test'; import assert from 'node:assert/strict'\n${imported}`
  ],
  [
    'required',
    'a.test.cjs',
    `const test = require('node:test'), assert = require('node:assert/strict')\n${required}`
  ]
]

test.each(ways)('node:test, %s', (_, name, head) => {
  const application = installed(['pino', 'winston'])
  application.write(name, `${head}const equal = assert.equal\ntest('all ways in', async () => {${body}})\n`)
  const { status, stdout } = application.run(process.execPath, ['--test', name])
  expect(stdout).toMatch(/pass 1\n/)
  expect(status).toBe(0)
})
