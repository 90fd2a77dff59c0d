import { expect, test } from 'vitest'
import { printable } from '../../src/base/printable.ts'

test('everything a terminal acts upon, or does not show, becomes an escape', () => {
  const acting = {
    '\x1b]0;title\x07': '\\x1b]0;title\\x07',
    '\x9b2J': '\\x9b2J',
    '\x7f\x00\b': '\\x7f\\x00\\x08',
    'a\nb\r\tc': 'a\\nb\\x0d\\x09c',
    '\u202egol.exe': '\\u202egol.exe',
    '\u2066x\u2069\u200e': '\\u2066x\\u2069\\u200e',
    '\u2028\u2029': '\\u2028\\u2029',
    '\ufeff': '\\ufeff',
    '\ud800': '\\ud800',
    '\u{e0001}': '\\u{e0001}'
  }
  for (const [text, shown] of Object.entries(acting)) expect(printable(text)).toBe(shown)
})

test('what can be seen stays as it is', () => {
  const text = 'app.log "quoted" \\x1b ünïcödé 日本語 🚀'
  expect(printable(text)).toBe(text)
})
