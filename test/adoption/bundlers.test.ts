// Applications that are joined into one file: what a bundle can do by itself, and that it says what it cannot.
import { describe, test } from 'vitest'
import { installed } from './application.ts'
import { bundlers, checkAlone, checkBesideInstalled } from './bundlers.ts'

/** A bundler that does not have the processor for itself takes minutes. */
const TEST_MS = 300_000

describe.each(bundlers)('$name', (bundler) => {
  const application = installed([...bundler.packages, 'winston'])

  test('the bundle finds threads and addon in the package that is installed beside it', {
    timeout: TEST_MS
  }, () => {
    checkBesideInstalled(application, bundler)
  })

  test('alone it can be imported, and says what is missing and what to do', { timeout: TEST_MS }, () => {
    checkAlone(application, bundler)
  })
})
