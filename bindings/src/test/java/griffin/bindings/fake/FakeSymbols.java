package griffin.bindings.fake;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToIntFunction;

/** The fake's functions as native addresses. They live as long as the process, since the generated class keeps them. */
final class FakeSymbols {

    private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();

    private static final Map<String, Method> METHODS = methods();

    private static final Map<String, MemorySegment> STUBS = new ConcurrentHashMap<>();

    private FakeSymbols() {}

    static Optional<MemorySegment> find(String name) {
        return Optional.ofNullable(METHODS.get(name)).map(method -> STUBS.computeIfAbsent(name, key -> stub(method)));
    }

    /** All functions with their types, for comparison with the generated class. */
    static Map<String, MethodType> types() {
        Map<String, MethodType> types = new TreeMap<>();
        METHODS.forEach((name, method) -> types.put(name, MethodType.methodType(method.getReturnType(), method.getParameterTypes())));
        return types;
    }

    private static Map<String, Method> methods() {
        Map<String, Method> methods = new TreeMap<>();
        for (Class<?> owner : List.of(FakeDeviceApi.class, FakeMemoryApi.class, FakeStreamApi.class, FakeLaunchApi.class)) {
            for (Method method : owner.getDeclaredMethods()) {
                if (method.getName().startsWith("cu") && Modifier.isStatic(method.getModifiers())) {
                    methods.put(method.getName(), method);
                }
            }
        }
        return methods;
    }

    private static MemorySegment stub(Method method) {
        try {
            MethodHandle function = LOOKUP.unreflect(method);
            return Linker.nativeLinker().upcallStub(guarded(method.getName(), function), descriptor(function.type()), Arena.global());
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(method.toString(), e);
        }
    }

    /** Any static method as a native function, as long as the process lives. An exception is told and becomes the status it gives. */
    static MemorySegment upcall(Method method, ToIntFunction<Throwable> broke) {
        try {
            MethodHandle function = LOOKUP.unreflect(method);
            MethodType type = function.type();
            if (type.returnType() == int.class) {
                MethodHandle handler = LOOKUP.findVirtual(ToIntFunction.class, "applyAsInt", MethodType.methodType(int.class, Object.class))
                        .bindTo(broke).asType(MethodType.methodType(int.class, Throwable.class));
                function = MethodHandles.catchException(function, Throwable.class, handler);
            }
            return Linker.nativeLinker().upcallStub(function, descriptor(type), Arena.global());
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(method.toString(), e);
        }
    }

    /** Calls {@link #before} first and the function only if that is no error. An exception must not leave an upcall: it ends the JVM. */
    private static MethodHandle guarded(String name, MethodHandle function) throws ReflectiveOperationException {
        MethodHandle before = own("before", MethodType.methodType(int.class, String.class)).bindTo(name);
        MethodHandle success = own("isSuccess", MethodType.methodType(boolean.class, int.class));
        MethodHandle call = MethodHandles.dropArguments(function, 0, int.class);
        MethodHandle refuse = MethodHandles.dropArguments(MethodHandles.identity(int.class), 1, function.type().parameterList());
        MethodHandle either = MethodHandles.foldArguments(MethodHandles.guardWithTest(success, call, refuse), before);
        MethodHandle caught = own("caught", MethodType.methodType(int.class, Throwable.class));
        return MethodHandles.catchException(either, Throwable.class, caught);
    }

    private static MethodHandle own(String name, MethodType type) throws ReflectiveOperationException {
        return LOOKUP.findStatic(FakeSymbols.class, name, type);
    }

    private static int before(String name) {
        return FakeDriver.current().before(name);
    }

    private static boolean isSuccess(int result) {
        return result == Cuda.CUDA_SUCCESS();
    }

    private static int caught(Throwable error) {
        FakeDriver.current().broke(error);
        return Cuda.CUDA_ERROR_UNKNOWN();
    }

    private static FunctionDescriptor descriptor(MethodType type) {
        return FunctionDescriptor.of(layout(type.returnType()),
                type.parameterList().stream().map(FakeSymbols::layout).toArray(MemoryLayout[]::new));
    }

    private static MemoryLayout layout(Class<?> type) {
        if (type == MemorySegment.class) {
            return ValueLayout.ADDRESS;
        }
        if (type == int.class) {
            return ValueLayout.JAVA_INT;
        }
        return type == long.class ? ValueLayout.JAVA_LONG : ValueLayout.JAVA_BYTE;
    }
}
