/* python.exe: all of Python is in python313.dll, beside which it lies. */

#include <wchar.h>

int Py_Main(int count, wchar_t **words);

int wmain(int count, wchar_t **words)
{
    return Py_Main(count, words);
}
