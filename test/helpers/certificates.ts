// An authority, and certificates that it gave out for servers and clients on the loopback interface, made with openssl.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atTestEnd } from './at-test-end.ts'

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
}

export interface Authority {
  readonly caFile: string
  /** `names` as in subjectAltName: `IP:127.0.0.1`. */
  create(commonName: string, names?: string): Certificate
}

const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' })
const KEY = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'.split(' ')

/** `whenDone`: `atTestEnd` for one test, `afterAll` for a file. */
export function createAuthority(whenDone: (end: () => void) => void = atTestEnd): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-certificates-'))
  whenDone(() => rmSync(folder, { recursive: true, force: true }))
  const [caFile, caKey] = [join(folder, 'ca.pem'), join(folder, 'ca-key.pem')]
  openssl(
    'req',
    '-x509',
    ...KEY,
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
    '-keyout',
    caKey,
    '-out',
    caFile
  )
  let made = 0
  return {
    caFile,
    create(commonName, names = 'IP:127.0.0.1') {
      const base = join(folder, `${made++}`)
      const [certFile, keyFile, request, extensions] = ['.pem', '-key.pem', '.csr', '.ext'].map(
        (end) => base + end
      )
      writeFileSync(extensions, `subjectAltName=${names}\n`)
      openssl('req', ...KEY, '-subj', `/CN=${commonName}`, '-keyout', keyFile, '-out', request)
      const signing = [
        '-CA',
        caFile,
        '-CAkey',
        caKey,
        '-CAcreateserial',
        '-days',
        '2',
        '-extfile',
        extensions
      ]
      openssl('x509', '-req', '-in', request, ...signing, '-out', certFile)
      return { certFile, keyFile }
    }
  }
}
