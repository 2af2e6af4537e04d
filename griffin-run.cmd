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
if not defined JDK for %%J in (java.exe) do if not "%%~$PATH:J"=="" for %%H in ("%%~dp$PATH:J..") do call :try "%%~fH" PATH
if defined JDK goto :haveJdk
if not defined GRIFFIN_JVM_DIRS set "GRIFFIN_JVM_DIRS=%ProgramFiles%\Java;%ProgramFiles%\Eclipse Adoptium;%ProgramFiles%\Microsoft;%USERPROFILE%\.jdks"
for %%F in ("%GRIFFIN_JVM_DIRS:;=" "%") do for /d %%H in ("%%~F\*") do if not defined JDK call :try "%%~H" folder
if defined JDK goto :haveJdk
if not defined FOUND set "FOUND=none in JAVA_HOME, on PATH or in %GRIFFIN_JVM_DIRS%"
>&2 echo griffin-run: needs a JDK 25 or newer; found %FOUND%; install one (winget install EclipseAdoptium.Temurin.25.JDK) or set JAVA_HOME to one.
exit /b 2

:haveJdk
call :stale
if not defined STALE goto :start
where mvn >nul 2>nul
if errorlevel 1 (
    >&2 echo griffin-run: needs Maven 3.8 or newer to build because the jars are missing or older than their sources; found no mvn on PATH; install Maven and add its bin folder to PATH.
    exit /b 2
)
rem A folder is made atomically: one build at a time.
:lock
mkdir "%ROOT%\.griffin-run.lock" 2>nul
if not errorlevel 1 goto :build
>&2 echo griffin-run: waiting for another build; if there is none, delete the folder %ROOT%\.griffin-run.lock
ping -n 3 127.0.0.1 >nul
goto :lock
:build
call :stale
set "STATUS=0"
if not defined STALE goto :built
>&2 echo griffin-run: building, because the jars are missing or older than their sources
setlocal
set "JAVA_HOME=%JDK%"
call mvn -B -q -f "%ROOT%\pom.xml" -pl java/cli -am -Dmaven.test.skip=true -Dgriffin.skipChecks package 1>&2 <nul
endlocal & set "STATUS=%ERRORLEVEL%"
rem Jars that Maven left alone count as checked.
if "%STATUS%"=="0" for %%M in (core stories cli) do copy /b "%ROOT%\java\%%M\target\griffin-%%M.jar"+,, "%ROOT%\java\%%M\target\" >nul
:built
rmdir "%ROOT%\.griffin-run.lock"
if not "%STATUS%"=="0" (
    >&2 echo griffin-run: the build failed, for the reason above.
    exit /b 1
)

:start
set "CP=%ROOT%\java\core\target\griffin-core.jar;%ROOT%\java\stories\target\griffin-stories.jar;%ROOT%\java\cli\target\griffin-cli.jar;%ROOT%\java\cli\target\lib\*"
"%JDK%\bin\java.exe" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -Xshare:auto -XX:+UseSerialGC %GRIFFIN_JAVA_OPTS% -cp "%CP%" griffin.cli.Main %*
exit /b %ERRORLEVEL%

rem Takes the JDK in folder %1 if its release file says 25 or newer and it has a compiler, else remembers it for the message.
:try
if not exist "%~1\bin\javac.exe" exit /b 0
set "VERSION="
for /f "usebackq tokens=2 delims==" %%V in (`findstr /b "JAVA_VERSION=" "%~1\release" 2^>nul`) do set "VERSION=%%~V"
set "MAJOR=0"
for /f "delims=.-+" %%V in ("%VERSION%") do set "MAJOR=%%V"
if %MAJOR% GEQ 25 set "JDK=%~1"
if %MAJOR% LSS 25 set "FOUND=%FOUND% Java %VERSION% in %~1 (%2)"
exit /b 0

rem Sets STALE if a jar is missing or a source or pom is newer than the jar of its module.
:stale
set "STALE="
for %%M in (core stories cli) do if not exist "%ROOT%\java\%%M\target\griffin-%%M.jar" set "STALE=1"
if not exist "%ROOT%\java\cli\target\lib" set "STALE=1"
if defined STALE exit /b 0
powershell -NoProfile -NonInteractive -Command "$r = $env:ROOT; foreach ($m in 'core','stories','cli') { $j = (Get-Item ($r + '\java\' + $m + '\target\griffin-' + $m + '.jar')).LastWriteTimeUtc; $s = @(Get-Item ($r + '\pom.xml'), ($r + '\java\' + $m + '\pom.xml')) + @(Get-ChildItem -Recurse ($r + '\java\' + $m + '\src\main') -ErrorAction SilentlyContinue); if ($s | Where-Object { $_.LastWriteTimeUtc -gt $j }) { exit 1 } }; exit 0"
if errorlevel 1 set "STALE=1"
exit /b 0
