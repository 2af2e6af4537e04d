@echo off
rem Starts the griffin-run command on Windows; builds it first where its jars are missing or older than their sources.
rem Settings: JAVA_HOME, GRIFFIN_JAVA_OPTS, GRIFFIN_JVM_DIRS (folders separated by semicolons); see griffin-run.
rem Exit codes of the launcher itself: 1 the build failed, 2 a JDK or Maven is missing. All others are the command's.
setlocal EnableExtensions DisableDelayedExpansion
set "ROOT=%~dp0"
set "ROOT=%ROOT:~0,-1%"
set "JDK="
set "FOUND="

if defined JAVA_HOME call :try "%JAVA_HOME%" JAVA_HOME
if not defined JDK for %%J in (java.exe) do if not "%%~$PATH:J"=="" for %%H in ("%%~dp$PATH:J..") do call :try "%%~fH" "on PATH"
if defined JDK goto :haveJdk
set "SEARCH=%GRIFFIN_JVM_DIRS%"
if not defined SEARCH set "SEARCH=%ProgramFiles%\Java;%ProgramFiles%\Eclipse Adoptium;%ProgramFiles%\Microsoft;%USERPROFILE%\.jdks"
for %%F in ("%SEARCH:;=" "%") do for /d %%H in ("%%~F\*") do if not defined JDK call :try "%%~H" "in %%~F"
if defined JDK goto :haveJdk
if defined FOUND set "FOUND=%FOUND:~2%"
if not defined FOUND set "FOUND=none (neither JAVA_HOME nor PATH nor %SEARCH% has one)"
>&2 echo griffin-run: needs a JDK 25 or newer; found %FOUND%; install one (winget install EclipseAdoptium.Temurin.25.JDK) ^
or set JAVA_HOME to one.
exit /b 2

:haveJdk
call :stale
if not defined STALE goto :start
where mvn >nul 2>nul
if not errorlevel 1 goto :lock
>&2 echo griffin-run: needs Maven 3.8 or newer to build because the jars are missing or older than their sources; found no mvn on PATH; ^
install it and add its bin folder to PATH.
exit /b 2

rem A folder is made atomically: one build at a time.
:lock
mkdir "%ROOT%\.griffin-run.lock" 2>nul
if not errorlevel 1 goto :build
>&2 echo griffin-run: waiting for another build to finish building; if there is none, delete the folder %ROOT%\.griffin-run.lock
ping -n 3 127.0.0.1 >nul
goto :lock

:build
call :stale
set "STATUS=0"
if not defined STALE goto :built
>&2 echo griffin-run: building, because the jars are missing or older than their sources
setlocal
set "JAVA_HOME=%JDK%"
rem Maven 3's libraries make JDK 25 print warnings that are no business of ours, and end with a colour reset even without colours.
set "MAVEN_OPTS=-Djansi.noreset=true %MAVEN_OPTS%"
if "%MAJOR%"=="25" set "MAVEN_OPTS=--sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED %MAVEN_OPTS%"
type nul >"%ROOT%\.griffin-run.started"
call mvn -B -q -Dstyle.color=never -f "%ROOT%\pom.xml" -pl java/cli -am -Dmaven.test.skip=true -Dgriffin.skipChecks package 1>&2 <nul
endlocal & set "STATUS=%ERRORLEVEL%"
rem A source edited while Maven ran must count as newer than the jars, and jars that Maven left alone as checked.
if "%STATUS%"=="0" powershell -NoProfile -NonInteractive -Command "$t = (Get-Item ($env:ROOT + '\.griffin-run.started')).LastWriteTimeUtc; foreach ($m in 'java\core','java\stories','java\cuda','java\hub','java\server','java\cli','bindings','cuda-kernels') { (Get-Item ($env:ROOT + '\' + $m + '\target\griffin-' + (Split-Path -Leaf $m) + '.jar')).LastWriteTimeUtc = $t }"
del "%ROOT%\.griffin-run.started" 2>nul
:built
rmdir "%ROOT%\.griffin-run.lock"
if "%STATUS%"=="0" goto :start
>&2 echo griffin-run: the build failed, for the reason above.
exit /b 1

:start
set "CP="
for %%M in (java\core java\stories java\cuda java\hub java\server java\cli bindings cuda-kernels) do call :append "%ROOT%\%%M\target\griffin-%%~nxM.jar"
rem The serial collector starts fastest. It yields to a collector of the user's choice: the JVM refuses two.
set "COLLECTOR=-XX:+UseSerialGC"
echo "%GRIFFIN_JAVA_OPTS%" | findstr /r /c:"-XX:+Use.*GC" >nul && set "COLLECTOR="
"%JDK%\bin\java.exe" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED ^
    %COLLECTOR% %GRIFFIN_JAVA_OPTS% -cp "%CP%%ROOT%\java\cli\target\lib\*" griffin.cli.Main %*
exit /b %ERRORLEVEL%

:append
set "CP=%CP%%~1;"
exit /b 0

rem Takes the JDK in folder %1 (found by way of %2) if it is new enough, else remembers it for the error message. A release file tells
rem the version; without one it is no JDK, or only a launcher that an installer put on PATH.
:try
if not exist "%~1\bin\java.exe" exit /b 0
set "VERSION="
for /f "usebackq tokens=2 delims==" %%V in (`findstr /b "JAVA_VERSION=" "%~1\release" 2^>nul`) do set "VERSION=%%~V"
if not defined VERSION exit /b 0
set "MAJOR=0"
for /f "delims=.-+" %%V in ("%VERSION%") do set "MAJOR=%%V"
if %MAJOR% LSS 25 goto :tooOld
if not exist "%~1\bin\javac.exe" goto :noCompiler
set "JDK=%~1"
exit /b 0
:tooOld
set "FOUND=%FOUND%, Java %VERSION% in %~1 (%~2)"
exit /b 0
:noCompiler
set "FOUND=%FOUND%, Java %VERSION% without a compiler in %~1 (%~2)"
exit /b 0

rem Sets STALE if a jar is missing or a source or pom is newer than the jar of its module.
:stale
set "STALE="
for %%M in (java\core java\stories java\cuda java\hub java\server java\cli bindings cuda-kernels) do if not exist "%ROOT%\%%M\target\griffin-%%~nxM.jar" set "STALE=1"
if not exist "%ROOT%\java\cli\target\lib" set "STALE=1"
if defined STALE exit /b 0
powershell -NoProfile -NonInteractive -Command "$r = $env:ROOT; foreach ($m in 'java\core','java\stories','java\cuda','java\hub','java\server','java\cli','bindings','cuda-kernels') { $j = (Get-Item ($r + '\' + $m + '\target\griffin-' + (Split-Path -Leaf $m) + '.jar')).LastWriteTimeUtc; $s = @(Get-Item ($r + '\pom.xml'), ($r + '\' + $m + '\pom.xml')) + @(Get-ChildItem -Recurse ($r + '\' + $m + '\src\main'), ($r + '\' + $m + '\compiled') -ErrorAction SilentlyContinue); if ($s | Where-Object { $_.LastWriteTimeUtc -gt $j }) { exit 1 } }; exit 0"
if errorlevel 1 set "STALE=1"
exit /b 0
