/* python.exe: runs python313.dll, which is in the same folder. */

#include <wchar.h>

int Py_Main(int count, wchar_t **words);

int wmain(int count, wchar_t **words)
{
    return Py_Main(count, words);
}
