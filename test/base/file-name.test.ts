// Names and paths that leave no room for what is put behind them are refused before anything is written.
import { expect, test, vi } from 'vitest'
import { requireNameRoom } from '../../src/base/file-name.ts'

test('a relative path counts with the folder of the process', () => {
  const check = () => requireNameRoom('rotating-file', 'path', 'app.log')
  expect(check).not.toThrow()
  const cwd = vi.spyOn(process, 'cwd').mockReturnValue(`/${'d'.repeat(200)}`.repeat(20))
  try {
    expect(process.cwd().length).toBe(4020)
    expect(check).not.toThrow()
    cwd.mockReturnValue(`${`/${'d'.repeat(200)}`.repeat(20)}/${'d'.repeat(30)}`)
    expect(check).toThrow('ERR_OPTION')
  } finally {
    cwd.mockRestore()
  }
})
