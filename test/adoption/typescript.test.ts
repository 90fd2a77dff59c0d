// The declarations under the settings and the versions of TypeScript that users have, libraries checked, too.
import { describe, expect, test } from 'vitest'
import { installed } from './application.ts'
import { compile, settings } from './typescript.ts'

const tsc = 'node_modules/.bin/tsc'

// From the oldest that is promised on.
describe.each(['5.4', '5.7', '5.9', '7'])('TypeScript %s', (version) => {
  const application = installed([`typescript@${version}`, '@types/node@20', 'winston', 'pino'])

  // TypeScript 7 has neither node10 nor a compilation without interoperability.
  const supported = Object.entries(settings).filter(([name]) => version !== '7' || !name.includes('node10'))

  test.each(supported)('%s', (_, own) => {
    expect(compile(application, tsc, own, ['a.ts'])).toBe('')
  })

  test('nodenext from an ES module', () => {
    const own = { module: 'nodenext', moduleResolution: 'nodenext' }
    expect(compile(application, tsc, own, ['a.mts'])).toBe('')
  })

  test('an option that does not exist is an error of the compiler', () => {
    const own = { module: 'node16', moduleResolution: 'node16' }
    const said = compile(application, tsc, own, ['wrong.ts'])
    expect(said).toContain('maxByte')
    expect(said).not.toContain('TS2307')
  })
})
